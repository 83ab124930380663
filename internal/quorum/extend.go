package quorum

import (
	"time"

	"github.com/redlatch/redlatch/internal/random"
)

// tick is what a lease's timer runs: it extends on the nodes whose time has come and
// ends the lease at its deadline.
func (h *Hold) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.check() {
		return
	}
	now := time.Now()
	for i := range h.shares {
		s := &h.shares[i]
		if s.next.After(now) {
			continue
		}
		// A call that is without an answer after the window no longer blocks its node.
		s.next = now.Add(h.lock.set.window)
		if s.asking < 2 {
			h.extend(h.limited(now), i)
		}
	}
	h.timer.Reset(h.pause(now))
}

// pause returns how long the timer has to wait.
func (h *Hold) pause(now time.Time) time.Duration {
	next := h.until.mono
	for i := range h.shares {
		if t := h.shares[i].next; t.Before(next) {
			next = t
		}
	}
	return next.Sub(now)
}

// extend sends the extend script to the i-th node, in a goroutine of its own.
func (h *Hold) extend(ctx *callContext, i int) {
	s := &h.shares[i]
	s.asking++
	args := h.args(h.tokenArg(), nil)
	t0 := h.lock.set.clock.read()
	h.last = t0.mono
	h.lock.set.begun()
	go func() {
		growStack()
		defer h.lock.set.ended()
		reply, err := h.ask(ctx, i, h.lock.Kind.Extend, args)
		h.mu.Lock()
		defer h.mu.Unlock()
		s.asking--
		h.extended(i, t0, reply, err)
		h.signal()
	}()
}

// extended takes the answer to an extend script. It counts from its own t0, whatever
// has been sent since. Where a later call has been answered before, it is not known which
// of the two the node served first, so only what denies the hold counts.
func (h *Hold) extended(i int, t0 instant, reply []int64, err error) {
	s := &h.shares[i]
	stale := t0.mono.Before(s.heard)
	if h.phase == over || h.phase == held && !h.check() || stale && (err != nil || reply[0] == 1) {
		return
	}
	if err == nil && !stale {
		s.heard = t0.mono
	}
	cadence := h.lock.set.opt.ExtensionCadence
	s.next = t0.mono.Add(cadence)
	switch {
	case err != nil:
		s.answer, s.err = unknown, err
		s.backoff = min(max(2*s.backoff, cadence/8), cadence)
		s.next = time.Now().Add(random.Around(s.backoff))
	case reply[0] == 1:
		s.backoff, s.err, s.answer = 0, nil, granted
		if !s.repaired && !t0.mono.Before(s.since) {
			s.end = later(s.end, h.confirmed(t0))
			s.token = max(s.token, h.token)
		}
	default:
		s.backoff, s.err, s.answer, s.end = 0, nil, refused, instant{}
		if !stale {
			s.stands = s.pending > 0
		}
		if h.phase == held && reply[0] == 0 {
			h.repair(i)
		}
	}
	if h.phase == held {
		h.recount()
	}
}

// recount computes the deadline from what is confirmed, and ends the lease if no
// majority has it any more. A deadline that moves without the nodes that were put
// back shows that the others have had the hold all the time: from then on these
// nodes' answers count again.
func (h *Hold) recount() {
	until, ok := h.deadline()
	if !ok {
		h.lose("a majority of the nodes no longer has it")
		return
	}
	moved := until.mono.After(h.until.mono)
	h.until = until
	if moved {
		now := time.Now()
		for i := range h.shares {
			if s := &h.shares[i]; s.repaired {
				s.repaired, s.since = false, now
			}
		}
	}
	if h.check() {
		h.timer.Reset(h.pause(time.Now()))
	}
}

// repair puts the hold back on a node that answered "absent". Until the deadline has
// moved without the node it does not count: the put may be delivered again at any
// time, and "extended" would then not mean that the hold has been there since.
func (h *Hold) repair(i int) {
	s := &h.shares[i]
	if len(h.shares) == 1 || s.pending > 0 {
		return
	}
	if _, ok := h.deadline(); !ok {
		return
	}
	s.repaired = true
	h.create(h.limited(time.Now()), i, h.lock.Kind.Repair, h.tokenArg(), nil, func(*Hold, int, instant, []int64, error) {})
}
