package sim

import (
	"context"
	"errors"
	"time"

	"github.com/redlatch/redlatch/core"
)

// errOwn is what a worker's function tells core.Do.
var errOwn = errors.New("the function's own error")

// do has core.Do take the lock, use it and give it back. called says whether it got that
// far; if not, err is that of Lock.
func (w *worker) do(ctx context.Context, l core.Locker, use func(*core.Lease) (release func())) (called bool, err error) {
	var own error
	if w.rng.IntN(2) == 0 {
		own = errOwn
	}
	var held *core.Lease
	var lost bool
	err = core.Do(ctx, l, func(inner context.Context) error {
		held, called = core.FromContext(inner)
		if !called {
			w.run.fail("%s: Do's context has no lease", l.Name())
			return own
		}
		w.run.stats.Dos.Add(1)
		release := use(held)
		if w.client.Killed() {
			<-held.Context().Done() // nobody is left to release it
		}
		w.told(ctx, inner, held)
		release()
		lost = isClosed(held.Lost())
		return own
	})
	if !called {
		return false, err
	}
	if own != nil && !errors.Is(err, own) {
		w.run.fail("%s: Do drops the function's error: %v", l.Name(), err)
	}
	if lost != errors.Is(err, core.ErrLost) {
		w.run.fail("%s: Do came back with %v, lost before: %v", l.Name(), err, lost)
	}
	if held.Context().Err() == nil {
		w.run.fail("%s: the lease's context is alive after Do", l.Name())
	}
	return true, err
}

// told judges the context of Do's function: it ends with the lease, with its cause, and
// with Do's own context.
func (w *worker) told(ctx, inner context.Context, lease *core.Lease) {
	held := lease.Context()
	if held.Err() == nil && ctx.Err() == nil {
		return
	}
	if wait(inner, time.Second, nil) == nil {
		w.run.fail("%s: the lease has ended (%v), but not the context of Do's function", lease.Name(), context.Cause(held))
	}
	if cause := context.Cause(inner); ctx.Err() == nil && cause != context.Cause(held) {
		w.run.fail("%s: the context of Do's function ended with %v, the lease with %v", lease.Name(), cause, context.Cause(held))
	}
}
