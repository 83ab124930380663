package quorum

import (
	"context"
	"errors"
	"time"

	"github.com/redlatch/redlatch/core"
)

// Release ends the claim and gives the lock back.
func (h *Hold) Release(ctx context.Context) error {
	leave := ctx.Done()
	if ctx.Err() != nil {
		leave = nil // a context that has ended already must not keep the lock from being given back
	}
	return h.release(core.ErrReleased, leave, ctx.Err)
}

// release is Release, which waits until leave is closed, and then fails with why, or for
// the window.
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

// awaitRelease waits until no Release is under way, on a channel: sync.Once waits on a
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

// confirm waits until a majority has confirmed the release.
func (h *Hold) confirm(leave <-chan struct{}, why func() error) error {
	window := h.lock.set.limit.from(time.Now(), h.lock.set.window).Done()
	for {
		cleared, failed := 0, 0
		for i := range h.shares {
			if s := &h.shares[i]; s.cleared || !s.stands {
				cleared++
			} else if s.failures > 1 {
				failed++
			}
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
			silent = h.lock.set.errNoAnswer
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
			errs = append(errs, &core.NodeError{Node: h.lock.nodes[i].index, Err: err})
		}
	}
	return errors.Join(errs...)
}

// clearAll removes the hold from every node where it may stand, in the background.
func (h *Hold) clearAll() {
	for i := range h.shares {
		s := &h.shares[i]
		s.err = nil
		if !s.stands {
			continue
		}
		if s.pending == 0 {
			h.clear(i)
			continue
		}
		// The call under way will be followed by a removal when it returns. Where that
		// takes long, one is sent before, since the call may have been served long ago.
		h.lock.set.after(4*time.Duration(h.lock.nodes[i].rtt.Load())+10*time.Millisecond, func() {
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

// firstBackoff is the time from the first failure of a release to its first retry.
const firstBackoff = 10 * time.Millisecond

// retryRelease sends a release again, but the first time only if no other retry is
// under way to a node that fails: those of many leases would keep this process busy with
// a node that is down.
func (h *Hold) retryRelease(i int, backoff time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, next := h.lock.nodes[i], min(2*backoff, time.Second)
	switch {
	case backoff == firstBackoff || !n.failing.Load() || h.lock.set.isClosed():
		h.sendRelease(i, next, func() {})
	case n.retrying.CompareAndSwap(false, true):
		h.sendRelease(i, next, func() { n.retrying.Store(false) })
	case time.Since(h.last) < h.lock.set.opt.Expiry:
		h.lock.set.after(next, func() { h.retryRelease(i, next) })
	}
}

// sendRelease calls done when the call has returned.
func (h *Hold) sendRelease(i int, backoff time.Duration, done func()) {
	s, set := &h.shares[i], h.lock.set
	ctx := h.limited(time.Now())
	ctx.left = &h.back
	last := s.pending == 0
	remove, stay := "", h.ticket
	if h.withdrawn() {
		remove, stay = h.ticket, ""
	}
	args := h.args("0", []string{remove, stay})
	set.begun()
	go func() {
		growStack()
		defer set.ended()
		_, err := h.lock.nodes[i].run(ctx, h.lock.Kind.Release, h.lock.keys, args)
		done()
		h.mu.Lock()
		defer h.mu.Unlock()
		if err == nil {
			s.cleared = s.cleared || last
		} else {
			s.err = err
			s.failures++
			if last && time.Since(h.last) < set.opt.Expiry {
				set.after(backoff, func() { h.retryRelease(i, backoff) })
			}
		}
		h.signal()
	}()
}
