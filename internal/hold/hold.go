package hold

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/claim"
	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/failure"
	"github.com/redlatch/redlatch/internal/random"
	"github.com/redlatch/redlatch/internal/vote"
)

// A Hold is one acquisition, from its first attempt's first byte to the last answer of its
// release.
type Hold struct {
	lock   *Target
	owner  string
	values claim.Values        // of the caller's context, for all calls
	first  cluster.CallContext // of the attempt
	left   atomic.Bool         // the attempt is over
	ended  atomic.Bool         // the claim is over
	back   atomic.Bool         // nobody waits for a release: Release has returned, or was not called

	changed chan struct{} // of capacity 1: something happened that an attempt or a release waits for

	mu      sync.Mutex
	began   time.Time // of the attempt
	lead    int       // the index of the node whose line gives the order
	met     *Outcome  // of the attempt, where it did not win
	phase   phase
	shares  []share
	one     [1]share     // shares, where there is one node
	room    [5]vote.Vote // for a ballot
	token   int64
	slot    int
	ago     time.Duration // since the attempt's ticket was called; 0: it was not, before
	dropped bool          // the attempt's ticket did not stand in line
	ticket  *Ticket       // that stays in line when the hold is given back; nil: there is none
	last    time.Time     // when a call that may create or prolong the hold was last sent
	timer   *time.Timer

	until    cluster.Instant
	end      context.CancelCauseFunc
	leaving  bool          // Release is under way
	released chan struct{} // closed when it has returned; made by who waits for it
	err      error         // what Release returns
}

type phase int8

const (
	trying phase = iota
	held
	over
)

// errSilent is the failure of a node whose answer to an extension is still awaited
// when the deadline passes.
var errSilent = errors.New("no answer to an extension")

func newHold(l *Target, ctx context.Context) *Hold {
	h := &Hold{lock: l, owner: random.ID(), values: claim.Values{Of: ctx}, slot: -1, changed: make(chan struct{}, 1)}
	if len(l.Nodes) == 1 {
		h.shares = h.one[:]
	} else {
		h.shares = make([]share, len(l.Nodes))
	}
	return h
}

// limited returns the context for a call that begins now; left says that nobody waits for
// the call any more.
func (h *Hold) limited(now time.Time, left *atomic.Bool) *cluster.CallContext {
	ctx := h.lock.Set.Limited(now, h.values, left)
	return &ctx
}

// withdrawn reports whether the attempt's ticket has been: a call that was under way
// then has put it back.
func (h *Hold) withdrawn() bool { return h.ticket != nil && h.ticket.gone.Load() }

// signal wakes whoever waits for the hold to change.
func (h *Hold) signal() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// count returns how many votes are such.
func (h *Hold) count(such func(vote.Vote) bool) (n int) {
	for i := range h.shares {
		if such(h.shares[i].vote) {
			n++
		}
	}
	return n
}

// failures joins the failures of the nodes whose answer is not known. Where silent is not
// nil, it makes that of a node that has not answered.
func (h *Hold) failures(silent func(*cluster.Node) error) error {
	var errs []error
	for i := range h.shares {
		s, n := &h.shares[i], h.lock.Nodes[i]
		switch {
		case s.vote.Fails() && s.err != nil:
			errs = append(errs, n.Failed(h.lock.explain(s.err)))
		case silent != nil && s.silent():
			errs = append(errs, n.Failed(silent(n)))
		}
	}
	return errors.Join(errs...)
}

// Meets returns what the attempt has met so far, or in the end, where it did not win.
func (h *Hold) Meets() (Outcome, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.phase == trying:
		return h.interrupted(), true
	case h.met != nil:
		return *h.met, true
	}
	return Outcome{}, false
}

// confirmed returns what an answer to a call that began at t0 is worth: the node
// counted the expiry from a later moment.
func (h *Hold) confirmed(t0 cluster.Instant) cluster.Instant {
	return t0.Add(h.lock.Set.Opt.Expiry - h.lock.Set.Drift)
}

// deadline returns the moment until which a majority is confirmed to have the hold.
func (h *Hold) deadline() (cluster.Instant, bool) {
	if len(h.shares) == 1 {
		return h.one[0].end, !h.one[0].end.IsZero()
	}
	ends := make([]cluster.Instant, len(h.shares))
	for i := range h.shares {
		ends[i] = h.shares[i].end
	}
	return cluster.Latest(ends, h.lock.quorum)
}

// begin turns an attempt that has won into a lease; false: the provider is closed.
func (h *Hold) begin(until cluster.Instant) (*core.Lease, bool) {
	if !h.lock.Set.Add(h) {
		return nil, false
	}
	var lease *core.Lease
	lease, h.end = core.NewLease(&h.values, core.Claim{
		Lock: h.lock.Locker, Token: h.token, Permit: h.slot + 1, Release: h.Release, ValidUntil: h.validUntil,
	})
	h.phase, h.until = held, until
	now := time.Now()
	cadence := h.lock.Set.Opt.ExtensionCadence
	first := cadence - random.Below(cadence/4+1) // leases taken together are not extended together
	for i := range h.shares {
		s := &h.shares[i]
		s.next = now.Add(first)
		s.err = nil
	}
	h.timer = time.AfterFunc(h.pause(now), h.tick)
	return lease, true
}

// finish ends the claim. What may stand on the nodes is up to the caller.
func (h *Hold) finish(cause error) {
	was := h.phase
	h.phase = over
	h.ended.Store(true)
	h.back.Store(true)
	if was == held {
		if now := h.lock.Set.Now(); now.Mono.Before(h.until.Mono) {
			h.until = now
		}
		h.timer.Stop()
		h.lock.Set.Remove(h)
		h.end(cause)
	}
}

// lose ends the claim as lost and removes it everywhere.
func (h *Hold) lose(reason string) {
	err := fmt.Errorf("%w: %s %q: %s", core.ErrLost, h.lock.Named, h.lock.name, reason)
	if failures := h.failures(nil); failures != nil {
		err = failure.Errorf("%w: %w", err, failures)
	}
	h.err = err
	h.finish(err)
	h.clearAll()
}

// Check ends the lease if one of the clocks has passed its deadline.
func (h *Hold) Check() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.check()
}

// check is Check; it reports whether the lease is held.
func (h *Hold) check() bool {
	now := h.lock.Set.Now()
	switch {
	case h.phase != held || !h.until.Passed(now):
	case now.Mono.Before(h.until.Mono):
		for i := range h.shares {
			h.shares[i].err = nil // it is not the nodes'
		}
		h.lose(fmt.Sprintf("the wall clock passed its deadline %v early: the machine was suspended, or the clock was set", h.until.Mono.Sub(now.Mono).Round(time.Millisecond)))
	default:
		for i := range h.shares {
			if s, n := &h.shares[i], h.lock.Nodes[i]; s.asking > 0 && s.err == nil {
				s.fail(n.Silence(errSilent))
			}
		}
		h.lose("its deadline passed before a majority confirmed an extension")
	}
	return h.phase == held
}

// validUntil is Check; it returns the deadline, on the clock that says less.
func (h *Hold) validUntil() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.check() {
		return h.until.Mono
	}
	now := h.lock.Set.Now()
	if left := h.until.Left(now); left < h.until.Mono.Sub(now.Mono)-time.Millisecond {
		return now.Mono.Add(left)
	}
	return h.until.Mono // the two clocks are read one after the other: the rest is noise
}
