package hold

import (
	"context"
	"errors"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/failure"
)

// Release ends the claim and gives the lock back.
func (h *Hold) Release(ctx context.Context) error {
	leave := ctx.Done()
	if ctx.Err() != nil {
		leave = nil // a context that has ended already must not keep the lock from being given back
	}
	return h.release(core.ErrReleased, leave, ctx.Err)
}

// Close is Release for a set that is closed.
func (h *Hold) Close(cause error, leave <-chan struct{}, late error) error {
	return h.release(cause, leave, func() error { return late })
}

// release is Release, which waits until leave is closed, and then fails with why, or for
// the window from when it was sent.
func (h *Hold) release(cause error, leave <-chan struct{}, why func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.check() {
		h.awaitRelease()
		return h.err
	}
	h.leaving = true
	h.finish(cause)
	h.back.Store(false)
	h.clearAll()
	h.err = h.confirm(leave, why)
	h.back.Store(true)
	h.leaving = false
	if h.released != nil {
		close(h.released)
	}
	return h.err
}

// awaitRelease waits until no Release is under way. It is called with Hold.mu held, which it
// gives up meanwhile. It waits on a channel: sync.Once waits on a
// mutex, and a program's test in a bubble of virtual time would stand still.
func (h *Hold) awaitRelease() {
	if !h.leaving {
		return
	}
	if h.released == nil {
		h.released = make(chan struct{})
	}
	released := h.released
	h.mu.Unlock()
	<-released
	h.mu.Lock()
}

// confirm waits until a majority has confirmed the release. It is called with Hold.mu held,
// which it gives up meanwhile.
func (h *Hold) confirm(leave <-chan struct{}, why func() error) error {
	var window <-chan struct{} // that what was sent has for an answer
	for {
		cleared, failed, unsent := 0, 0, 0
		for i := range h.shares {
			if s := &h.shares[i]; s.cleared || !s.stands {
				cleared++
			} else if s.failures > 1 {
				failed++
			} else if s.unsent {
				unsent++
			}
		}
		if unsent == 0 && window == nil {
			window = h.lock.Set.WindowFrom(time.Now()).Done()
		}
		if cleared >= h.lock.quorum {
			return nil
		}
		if failed > len(h.shares)-h.lock.quorum {
			return h.releaseErrors(nil)
		}
		h.mu.Unlock()
		var silent error
		select {
		case <-h.changed:
		case <-window:
			silent = h.lock.Set.ErrNoAnswer
		case <-leave:
			silent = why()
		}
		h.mu.Lock()
		if silent != nil {
			return h.releaseErrors(silent)
		}
	}
}

// releaseErrors joins the failures of the nodes that have not confirmed; silent is that
// of those that have not answered.
func (h *Hold) releaseErrors(silent error) error {
	var errs []error
	for i := range h.shares {
		s := &h.shares[i]
		err := s.err
		if err == nil {
			err = silent
		}
		if !s.cleared && s.stands && err != nil {
			errs = append(errs, h.lock.Nodes[i].Failed(h.lock.explain(err)))
		}
	}
	return h.lock.failed(errors.Join(errs...))
}

// clearAll removes the hold from every node where it may stand, in the background.
func (h *Hold) clearAll() {
	for i := range h.shares {
		s := &h.shares[i]
		s.err = nil
		if !s.stands {
			continue
		}
		h.leaves(i)
		if s.pending == 0 {
			h.clear(i)
			continue
		}
		// The call under way will be followed by a removal when it returns. Where that
		// takes long, one is sent before, since the call may have been served long ago.
		h.lock.Nodes[i].After(4*h.lock.Nodes[i].RoundTrip()+10*time.Millisecond, func(bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if s.pending > 0 {
				h.clear(i)
			}
		})
	}
}

// clear sends the release script to the i-th node, in a goroutine of its own, and
// again after failures until the hold's own TTL must have ended it. It is over when one
// that was sent after the last call returned has been answered.
func (h *Hold) clear(i int) { h.sendRelease(i, firstBackoff, func() {}) }

// firstBackoff is the time from the first failure of a release to its first retry. The next
// ones double, up to probeBackoff for the release that finds out whether the node is back, and
// to maxBackoff for those that hear of it from another answer.
const (
	firstBackoff = 10 * time.Millisecond
	probeBackoff = 100 * time.Millisecond
	maxBackoff   = time.Second
)

// retryRelease sends a release again, but unless it is the first time, or hurried, only if no
// other retry is under way to a node that fails: those of many leases would keep this process
// busy with a node that is down.
func (h *Hold) retryRelease(i int, backoff time.Duration, hurried bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.lock.Nodes[i]
	switch {
	case backoff == firstBackoff || hurried || !n.Failing.Load() || h.lock.Set.IsClosed():
		h.sendRelease(i, 2*backoff, func() {})
	case n.Retrying.CompareAndSwap(false, true):
		h.sendRelease(i, min(2*backoff, probeBackoff), func() { n.Retrying.Store(false) })
	default:
		h.retryLater(i, 2*backoff)
	}
}

// retryLater sends a release again after the backoff, if the hold's TTL can not have ended
// it.
func (h *Hold) retryLater(i int, backoff time.Duration) {
	backoff = min(backoff, maxBackoff)
	again := func(hurried bool) { h.retryRelease(i, backoff, hurried) }
	if time.Since(h.last) >= h.lock.Set.Opt.Expiry || !h.lock.Nodes[i].After(backoff, again) {
		h.hasLeft(i)
	}
}

// sendRelease calls done when the call has returned.
func (h *Hold) sendRelease(i int, backoff time.Duration, done func()) {
	s, set, n := &h.shares[i], h.lock.Set, h.lock.Nodes[i]
	last := s.pending == 0
	leaver, stayer := "", ""
	switch {
	case h.withdrawn():
		leaver = h.ticket.ID
	case h.ticket != nil:
		stayer = h.ticket.ID
	}
	args := h.call("0").Release(leaver, stayer)
	set.Begun()
	job := func() {
		growStack()
		defer n.SentOne(false)
		defer set.Ended()
		ctx := h.limited(time.Now(), &h.back)
		_, err := n.Run(ctx, h.lock.Kind.Release, h.lock.keys, args)
		if failure.Served(err) { // the slot is being moved
			_, err = n.Run(ctx, h.lock.Kind.Remove, h.lock.keys[:1], args)
		}
		done()
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case err != nil:
			s.err = err
			s.failures++
			if errors.Is(err, core.ErrClosed) {
				s.failures++ // no other one will be told anything else
				h.hasLeft(i)
			} else if last {
				h.retryLater(i, backoff)
			}
		case last:
			s.cleared = true
			h.hasLeft(i)
			set.GaveBack()
		}
		h.signal()
	}
	if n.Send(job) {
		return
	}
	s.unsent = true
	n.SendLater(func() {
		h.mu.Lock()
		s.unsent = false
		h.signal()
		h.mu.Unlock()
		job()
	})
}
