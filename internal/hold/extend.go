package hold

import (
	"strconv"
	"time"

	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/protocol"
	"github.com/redlatch/redlatch/internal/random"
	"github.com/redlatch/redlatch/internal/vote"
)

// firstRetry is the time from the first failure of an extension to its first retry.
const firstRetry = 3 * time.Millisecond

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
		s.next = now.Add(h.lock.Set.Window)
		if s.asking < 2 && !s.waiting {
			s.waiting, s.next = true, h.until.Mono
			h.lock.Nodes[i].SendExtension(h.until.Mono, h, i)
		}
	}
	h.timer.Reset(h.pause(now))
}

// pause returns how long the timer has to wait.
func (h *Hold) pause(now time.Time) time.Duration {
	next := h.until.Mono
	for i := range h.shares {
		if t := h.shares[i].next; t.Before(next) {
			next = t
		}
	}
	return next.Sub(now)
}

// ExtendNow is what the backlog runs of an extension that has waited there; probe is for the
// backlog.
func (h *Hold) ExtendNow(i int, probe bool) {
	growStack()
	defer h.lock.Nodes[i].SentOne(probe)
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.shares[i]
	s.waiting = false
	if !h.check() {
		return
	}
	now := time.Now()
	s.next = now.Add(h.lock.Set.Window)
	h.timer.Reset(h.pause(now))
	call := h.extension(h.limited(now, nil), i)
	h.mu.Unlock()
	call()
	h.mu.Lock()
}

// IsOver reports whether the claim has ended, without the mutex.
func (h *Hold) IsOver() bool { return h.ended.Load() }

// extend sends the extend script to the i-th node, in a goroutine of its own.
func (h *Hold) extend(ctx *cluster.CallContext, i int) {
	call := h.extension(ctx, i)
	go func() {
		growStack()
		call()
	}()
}

// extension begins an extension; what it returns makes the call.
func (h *Hold) extension(ctx *cluster.CallContext, i int) (call func()) {
	s := &h.shares[i]
	s.asking++
	slot := ""
	if h.slot >= 0 {
		slot = strconv.Itoa(h.slot)
	}
	args := h.call(h.tokenArg()).Extend(slot)
	t0 := h.lock.Set.Now()
	h.last = t0.Mono
	h.lock.Set.Begun()
	return func() {
		defer h.lock.Set.Ended()
		reply, err := h.lock.ask(ctx, i, h.lock.Kind.Extend, h.lock.standing(), args)
		h.mu.Lock()
		defer h.mu.Unlock()
		s.asking--
		h.extended(i, t0, reply, err)
		h.signal()
	}
}

// extended takes the answer to an extend script. It counts from its own t0, whatever
// has been sent since. Where a later call has been answered before, it is not known which
// of the two the node served first, so only what denies the hold counts.
func (h *Hold) extended(i int, t0 cluster.Instant, reply protocol.Reply, err error) {
	s := &h.shares[i]
	stale := t0.Mono.Before(s.heard)
	if h.phase == over || h.phase == held && !h.check() || stale && (err != nil || reply.Status() == protocol.Extended) {
		return
	}
	if err == nil && !stale {
		s.heard = t0.Mono
	}
	cadence := h.lock.Set.Opt.ExtensionCadence
	s.next = t0.Mono.Add(cadence)
	switch {
	case err != nil:
		s.fail(err)
		s.tries++
		now := time.Now()
		s.next = now.Add(random.Around(h.retryPause(i, h.until.Mono.Sub(now))))
	case reply.Status() == protocol.Extended:
		if s.tries > 0 { // leases that an outage has kept waiting are not extended together from now on
			s.next = s.next.Add(-random.Below(cadence/4 + 1))
		}
		s.tries, s.err, s.vote = 0, nil, vote.Granted
		if !s.repaired && !t0.Mono.Before(s.since) {
			s.end = cluster.Later(s.end, h.confirmed(t0))
			s.token = max(s.token, h.token)
		}
	default:
		s.tries, s.err, s.vote, s.end = 0, nil, vote.Held, cluster.Instant{}
		if !stale {
			s.stands = s.pending > 0
		}
		if h.phase == held && reply.Status() == protocol.Absent {
			h.repair(i)
		}
	}
	if h.phase == held {
		h.recount()
	}
}

// retryPause is the time until an extension that has failed on the i-th node is tried
// again, of what is left until the deadline. The failure may say nothing about the server,
// as where the connection had been dead before: so the first pause is short. The others grow
// to a part of what is left, and so get shorter again: the last try comes when no more is
// left than an answer takes.
func (h *Hold) retryPause(i int, left time.Duration) time.Duration {
	pause := min(firstRetry<<min(h.shares[i].tries-1, 16), left/8)
	return max(pause, h.lock.Nodes[i].LeastPause())
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
	moved := until.Mono.After(h.until.Mono)
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
	h.create(h.limited(time.Now(), nil), i, h.lock.Kind.Repair, h.call(h.tokenArg()).Repair(), func(*Hold, int, cluster.Instant, protocol.Reply, error) {})
}
