package quorum

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/claim"
	"github.com/redlatch/redlatch/internal/random"
)

// A Hold is one acquisition, from its first attempt's first byte to the last answer
// of its release.
//
//	         a majority granted, the token written
//	         back, validity left
//	trying --------------------------------------> held
//	  |                                              |
//	  | refused, failed, too late,                   | Release; or lost: the deadline
//	  | or the caller left                           | passed, the majority is gone
//	  v                                              v
//	over: whatever may stand on a node is removed, in the background
//
// Answers arrive in the goroutines of their calls, in any order, in any phase.
type Hold struct {
	lock   *Lock
	owner  string
	values claim.Values // of the caller's context, for all calls
	first  callContext  // of the attempt
	left   atomic.Bool  // the attempt is over
	back   atomic.Bool  // nobody waits for a release: Release has returned, or was not called

	changed chan struct{} // of capacity 1: something happened that an attempt or a release waits for

	mu     sync.Mutex
	phase  phase
	shares []share
	one    [1]share // shares, where there is one node
	token  int64
	slot   int
	ticket string       // that stays in line when the hold is given back
	gone   *atomic.Bool // the ticket has been withdrawn; nil: there is none
	last   time.Time    // when a call that may create or prolong the hold was last sent
	timer  *time.Timer

	until    instant
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

type answer int8

const (
	none answer = iota // not asked, or asked and waiting
	granted
	refused
	unknown // asked, and it may have done anything
)

// share is what a hold knows of one node.
type share struct {
	answer answer  // the last
	err    error   // the last failure
	end    instant // confirmed: the hold stands until then; zero: it need not stand
	token  int64   // the counter is at least this

	left   time.Duration // of a refusal: until it is worth coming again
	place  int           // in the node's line
	inTurn bool          // refused because it is others' turn
	kept   bool          // refused because it may be another's turn, as far as the lead says so
	// refused because another limit (-2) or restart guard (-3) is in force, and which
	conflict, inForce int64

	pending int  // calls under way that may create the hold
	stands  bool // the hold may stand there

	next     time.Time     // when to extend
	backoff  time.Duration // after failures
	asking   int           // extensions under way
	heard    time.Time     // the latest begin of an extension that was answered
	repaired bool          // put back: it does not count until the deadline has moved without it
	since    time.Time     // answers to calls begun earlier do not count

	failures int  // of the release
	cleared  bool // the release was answered
}

// errSilent is the failure of a node whose answer to an extension is still awaited
// when the deadline passes.
var errSilent = errors.New("no answer to an extension")

func newHold(l *Lock, ctx context.Context) *Hold {
	h := &Hold{lock: l, owner: random.ID(), values: claim.Values{Of: ctx}, slot: -1, changed: make(chan struct{}, 1)}
	if len(l.nodes) == 1 {
		h.shares = h.one[:]
	} else {
		h.shares = make([]share, len(l.nodes))
	}
	return h
}

// limited returns the context for a call that begins now.
func (h *Hold) limited(now time.Time) *callContext {
	set := h.lock.set
	return &callContext{set.limit.from(now, set.window), h.values, nil}
}

// withdrawn reports whether the attempt's ticket has been: a call that was under way
// then has put it back.
func (h *Hold) withdrawn() bool { return h.gone != nil && h.gone.Load() }

// signal wakes whoever waits for the hold to change.
func (h *Hold) signal() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// count returns how many nodes gave that answer.
func (h *Hold) count(a answer) (n int) {
	for i := range h.shares {
		if h.shares[i].answer == a {
			n++
		}
	}
	return n
}

// failures joins the failures of the nodes whose answer is not known.
func (h *Hold) failures() error {
	var errs []error
	for i := range h.shares {
		if s := &h.shares[i]; s.err != nil && s.answer == unknown {
			errs = append(errs, &core.NodeError{Node: h.lock.nodes[i].index, Err: s.err})
		}
	}
	return errors.Join(errs...)
}

// passing reports whether all failures may pass by themselves.
func (h *Hold) passing() bool {
	for i := range h.shares {
		if s := &h.shares[i]; s.answer == unknown && !transient(s.err) {
			return false
		}
	}
	return true
}

// confirmed returns what an answer to a call that began at t0 is worth: the node
// counted the expiry from a later moment.
func (h *Hold) confirmed(t0 instant) instant {
	return t0.add(h.lock.set.opt.Expiry - h.lock.set.drift)
}

// deadline returns the moment until which a majority is confirmed to have the hold.
func (h *Hold) deadline() (instant, bool) {
	if len(h.shares) == 1 {
		return h.one[0].end, !h.one[0].end.isZero()
	}
	ends := make([]instant, len(h.shares))
	for i := range h.shares {
		ends[i] = h.shares[i].end
	}
	return latest(ends, h.lock.quorum)
}

// begin turns an attempt that has won into a lease; false: the provider is closed.
func (h *Hold) begin(until instant) (*core.Lease, bool) {
	if !h.lock.set.add(h) {
		return nil, false
	}
	var lease *core.Lease
	lease, h.end = core.NewLease(&h.values, h)
	h.phase, h.until = held, until
	now := time.Now()
	cadence := h.lock.set.opt.ExtensionCadence
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
	h.back.Store(true)
	if was == held {
		if now := h.lock.set.clock.read(); now.mono.Before(h.until.mono) {
			h.until = now
		}
		h.timer.Stop()
		h.lock.set.remove(h)
		h.end(cause)
	}
}

// lose ends the claim as lost and removes it everywhere.
func (h *Hold) lose(reason string) {
	err := fmt.Errorf("%w: %s %q: %s", core.ErrLost, h.lock.Named, h.lock.name, reason)
	if failures := h.failures(); failures != nil {
		err = fmt.Errorf("%w: %w", err, failures)
	}
	h.err = err
	h.finish(err)
	h.clearAll()
}

// Name returns the name of the lock.
func (h *Hold) Name() string { return h.lock.name }

// Token returns the fencing token.
func (h *Hold) Token() int64 { return h.token }

// Slot returns the permit's slot.
func (h *Hold) Slot() int { return h.slot }

// Check ends the lease if one of the clocks has passed its deadline.
func (h *Hold) Check() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.check()
}

// check is Check; it reports whether the lease is held.
func (h *Hold) check() bool {
	if h.phase == held && h.until.passed(h.lock.set.clock.read()) {
		for i := range h.shares {
			if s := &h.shares[i]; s.asking > 0 {
				s.answer, s.err = unknown, errSilent
			}
		}
		h.lose("its deadline passed before a majority confirmed an extension")
	}
	return h.phase == held
}

// ValidUntil returns the deadline, on the clock that says less.
func (h *Hold) ValidUntil() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase != held {
		return h.until.mono
	}
	now := h.lock.set.clock.read()
	if left := h.until.left(now); left < h.until.mono.Sub(now.mono)-time.Millisecond {
		return now.mono.Add(left)
	}
	return h.until.mono // the two clocks are read one after the other: the rest is noise
}
