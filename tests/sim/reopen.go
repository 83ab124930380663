package sim

import (
	"context"
	"errors"
	"time"

	"github.com/redlatch/redlatch/core"
)

// reopen closes the client's provider, whatever its other workers are doing with it,
// and gives the client another one.
func (w *worker) reopen() {
	old := w.client.provider.Load()
	if err := w.run.open(w.client); err != nil {
		w.run.fail("client %d: %v", w.client.Index, err)
		return
	}
	calm := w.run.settled.Load()
	began := time.Now()
	err := old.shut()
	if took, bound := time.Since(began), w.run.expiry(w.client); took > bound {
		w.run.fail("client %d: Close took %v, the bound is %v", w.client.Index, took, bound)
	}
	if calm && err != nil {
		w.run.fail("client %d: Close in the calm: %v", w.client.Index, err)
	}
	w.sound("Close", err)
}

// ended judges what the provider's Close has made of a call that began before or after
// it: both fail with ErrClosed, the earlier one at once.
func (w *worker) ended(d door, began time.Time, ctx context.Context, err error) {
	closed, is := d.provider.closedAt()
	switch late := is && time.Now().After(closed); {
	case err == nil:
		if is && began.After(closed) {
			w.run.fail("%s: granted by a provider that was closed before", d.request.Name)
		}
	case !errors.Is(err, core.ErrClosed):
		if late && ctx.Err() == nil {
			w.run.fail("%s: %v after Close the call fails with %v", d.request.Name, time.Since(closed), err)
		}
	case !is:
		w.run.fail("%s: nobody has closed the provider: %v", d.request.Name, err)
	case began.Before(closed):
		w.run.stats.Count(Closed)
		if late {
			w.run.fail("%s: the wait went on for %v after Close", d.request.Name, time.Since(closed))
		}
	}
}

// releasedBy judges what the provider's Close has made of a lease that its holder is about
// to release: it is over, which is not a loss.
func (w *worker) releasedBy(d door, lease *core.Lease) {
	closed, is := d.provider.closedAt()
	if !is || !time.Now().After(closed) {
		return
	}
	cause := context.Cause(lease.Context())
	byClose := errors.Is(cause, core.ErrReleased) && errors.Is(cause, core.ErrClosed)
	if !byClose && !errors.Is(cause, core.ErrLost) {
		w.run.fail("%s: the provider is closed and the lease's cause is %v", d.request.Name, cause)
	}
	if byClose && isClosed(lease.Lost()) {
		w.run.fail("%s: Close passes for a loss", d.request.Name)
	}
}
