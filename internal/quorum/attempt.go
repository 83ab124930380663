package quorum

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/redlatch/redlatch/core"
)

// errTooLate says that a majority granted, but left too little validity.
var errTooLate = errors.New("granted too late")

// errLeft is the failure of a node that may yet answer.
var errLeft = errors.New("no answer before the caller left")

// An outcome says how an attempt that did not win ended, and what waiting needs.
type outcome struct {
	err      error
	refused  bool          // held or waited for by others, for certain
	passing  bool          // the failures may pass by themselves
	answered bool          // by a majority, or by the lead for it
	left     time.Duration // until it is worth coming again, as far as the lead said
	place    int           // in the lead's line; -1: not in it
	lead     int           // whose line that is
	granted  *node         // the lead, if it granted, which takes the ticket out of its line
}

// attempt is a Hold that is being tried for.
type attempt struct {
	*Hold
	began    instant
	lead     int
	waiter   *waiter // nil: will not wait
	proposal string  // the token proposed, the same to all nodes so that they answer alike
	inLine   bool    // the waiter has a ticket

	rest    bool // the nodes beside the lead have been asked
	expired bool // the window is over
	timer   *time.Timer
	armed   bool
	rang    bool
	reason  reason        // what the timer is for
	backoff time.Duration // before refusing nodes are asked again
}

// A reason to stay with one way of asking for a while.
type reason int8

const (
	forNothing reason = iota
	forLead           // its answer may change what the others say
	forSome           // some have refused, others may grant
)

// attempt tries once to get a majority, with an owner id of its own. A waiter with a
// ticket asks the lead first and the others when it has the lead's consent; all else
// asks all nodes together.
func (l *Lock) attempt(ctx context.Context, w *waiter) (*core.Lease, outcome) {
	if l.set.isClosed() {
		return nil, outcome{err: l.closedError()}
	}
	h := newHold(l, ctx)
	a := &attempt{Hold: h, began: l.set.clock.read(), lead: l.lead(), waiter: w}
	a.proposal = l.proposal()
	a.inLine = w != nil && w.ticket != ""
	h.first = *h.limited(a.began.mono)
	h.first.left = &h.left
	defer h.left.Store(true)

	h.mu.Lock()
	defer h.mu.Unlock()
	if a.inLine {
		h.ticket, h.gone = w.ticket, w.gone
	}
	if a.inLine && len(l.nodes) > 1 {
		a.ask(a.lead, "")
		a.alarm(a.leadPatience())
	} else {
		a.askRest("free")
	}
	lease, o, done := a.step()
	for !done {
		if left, err := a.wait(ctx); left {
			o, done = outcome{err: err, place: -1}, true
		} else {
			lease, o, done = a.step()
		}
	}
	if lease == nil {
		h.finish(nil)
		h.clearAll()
		if l.set.isClosed() { // which has ended the contexts of calls, too
			o = outcome{err: l.closedError(), place: -1}
		}
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	o.lead = a.lead
	return lease, o
}

// wait waits for something to happen. Where the caller leaves, it returns why nothing
// is decided.
func (a *attempt) wait(ctx context.Context) (left bool, err error) {
	var ring <-chan time.Time
	if a.timer != nil {
		ring = a.timer.C
	}
	a.mu.Unlock()
	select {
	case <-a.changed:
	case <-ring:
		a.armed, a.rang = false, true
	case <-a.first.Done():
		a.expired = true
	case <-ctx.Done():
		left = true
	case <-a.lock.set.done:
		left, err = true, a.lock.closedError()
	}
	a.mu.Lock()
	if left && err == nil {
		a.giveUpOnSilent(errLeft)
		err = a.failures()
	}
	return left, err
}

// alarm makes wait return after d, once.
func (a *attempt) alarm(d time.Duration) {
	if a.timer == nil {
		a.timer = time.NewTimer(d)
	} else {
		a.timer.Reset(d)
	}
	a.armed, a.rang = true, false
}

// waitedFor reports whether the attempt has waited so long for that reason; else it goes on
// or begins to.
func (a *attempt) waitedFor(r reason, d time.Duration) bool {
	if a.reason != r {
		a.reason = r
		a.alarm(d)
	}
	return a.rang
}

// patience is how long a waiter stays with one way of asking when nodes are silent:
// longer than answers usually take. The slowest way that is known counts: that to the
// lead may not be known yet.
func (a *attempt) patience(least time.Duration) time.Duration {
	rtt := int64(0)
	for _, n := range a.lock.nodes {
		rtt = max(rtt, n.rtt.Load())
	}
	return least + 4*time.Duration(rtt)
}

// leadPatience is how long a silent lead is waited for, once: it is passed over from
// then on until it answers. Whoever comes meanwhile may overtake those in its line, so
// this is more than the moment that a busy server takes now and then; but it leaves the
// others time to grant.
func (a *attempt) leadPatience() time.Duration {
	return min(a.patience(100*time.Millisecond), a.lock.set.window/2)
}

// step looks at the answers that are there and decides, or asks on.
func (a *attempt) step() (lease *core.Lease, o outcome, done bool) {
	l, q := a.lock, a.lock.quorum
	if a.expired {
		a.giveUpOnSilent(l.set.errNoAnswer)
	}
	yes, no, failed := a.count(granted), a.count(refused), a.count(unknown)
	certain := len(a.shares) - q // one more of these decides
	lead := &a.shares[a.lead]
	o = outcome{answered: yes+no >= q, place: -1}
	if lead.answer == refused {
		o.left, o.place = lead.left, lead.place
		o.answered = o.answered || !a.rest
	}
	if lead.answer == granted {
		o.granted = l.nodes[a.lead]
	}

	switch {
	case a.invalid() != nil:
		o.err = a.invalid()
		return nil, o, true

	case lead.answer == refused && (lead.inTurn || !a.rest):
		o.refused, o.err = true, l.refused(nil)
		return nil, o, true

	case yes >= q && a.heedsLead():
		// The lead may say that it is others' turn, which the nodes beside it do not know.

	case yes >= q:
		return a.won(o)

	case a.kept() > 0 && no-a.kept() <= certain && !a.expired && a.mayHaveKept():
		if lead.answer == granted {
			a.askKept()
		}

	case !a.rest && lead.answer == granted:
		a.askRest("consent")

	case !a.rest && (lead.answer != none || a.rang):
		// A lead that is silent or failing does not hold up the others.
		l.nodes[a.lead].failing.Store(true)
		a.askRest("free")

	case a.inLine && lead.answer == granted && no > 0 && failed <= certain && !a.expired:
		a.askAgain()

	case a.waiter != nil && (!a.inLine || lead.answer != granted) && no > 0 && no+failed <= certain:
		// Some refused and some are silent: better to stand in a line than to wait.
		if a.waitedFor(forSome, a.patience(10*time.Millisecond)) {
			o.refused, o.err = true, l.refused(nil)
			return nil, o, true
		}

	case no+failed <= certain:

	case a.waiter != nil && !o.answered && yes+no+a.count(none) >= q:
		// No majority can grant, but one may yet say that others have it: a waiter waits then.

	case no == 0:
		o.err, o.passing = a.failures(), a.passing()
		return nil, o, true

	case no > certain:
		o.refused, o.err = true, l.refused(nil)
		return nil, o, true

	default:
		o.err, o.passing = l.refused(a.failures()), a.passing()
		return nil, o, true
	}
	return nil, o, false
}

// heedsLead reports whether the lead's answer is still to be waited for.
func (a *attempt) heedsLead() bool {
	lead := a.lock.nodes[a.lead]
	switch {
	case a.shares[a.lead].answer != none || lead.failing.Load():
		return false
	case a.waitedFor(forLead, a.leadPatience()):
		lead.failing.Store(true)
		return false
	}
	return true
}

// mayHaveKept reports whether what nodes keep for one from the lead's line may be this
// attempt's: the lead has let in one who stands in no line, or may yet.
func (a *attempt) mayHaveKept() bool {
	return !a.inLine && (a.shares[a.lead].answer == granted || a.heedsLead())
}

// giveUpOnSilent counts the nodes that have not answered as failed.
func (a *attempt) giveUpOnSilent(err error) {
	a.rest = true
	for i := range a.shares {
		if s := &a.shares[i]; s.answer == none {
			s.answer, s.err = unknown, err
			if a.expired {
				a.lock.nodes[i].failing.Store(true)
			}
		}
	}
}

// won settles the token, checks what is left of the validity, and begins the lease.
func (a *attempt) won(o outcome) (*core.Lease, outcome, bool) {
	l := a.lock
	if l.Fenced && !a.settled() {
		if a.expired {
			o.err = a.tooLate("token %d did not reach a majority within %v", a.token, l.set.window)
		}
		return nil, o, a.expired
	}
	l.set.saw(a.token)
	now := l.set.clock.read()
	until, ok := a.deadline()
	if !ok || until.left(now) < l.set.opt.MinValidity {
		o.err = a.tooLate("a majority took %v, the window is %v less the drift, %v", now.mono.Sub(a.began.mono), l.set.window, l.set.drift)
		return nil, o, true
	}
	lease, ok := a.begin(until)
	if !ok {
		o.err = l.closedError()
	}
	return lease, o, true
}

// tooLate is the failure of the nodes that granted, but too late for the whole.
func (a *attempt) tooLate(format string, args ...any) error {
	late := a.lock.errorf(errTooLate, format, args...)
	var errs []error
	for i := range a.shares {
		if a.shares[i].answer == granted {
			errs = append(errs, &core.NodeError{Node: a.lock.nodes[i].index, Err: late})
		}
	}
	return errors.Join(errs...)
}

// settled makes the token the highest that the majority answered, and reports whether
// a majority's counters have reached it; until then it writes it back. Two majorities
// share a node, and there the next holder's token is raised above this one: so tokens
// increase.
func (a *attempt) settled() bool {
	if a.token == 0 {
		if !a.agreed() {
			return false
		}
		for i := range a.shares {
			if a.shares[i].answer == granted {
				a.token = max(a.token, a.shares[i].token)
			}
		}
	}
	have := 0
	for i := range a.shares {
		s := &a.shares[i]
		switch {
		case s.answer != granted:
		case s.token >= a.token:
			have++
		case s.asking == 0:
			a.extend(&a.first, i)
		}
	}
	return have >= a.lock.quorum
}

// agreed reports whether the tokens that were answered can be compared. A node whose clock
// is more than a day ahead gives tokens that the others refuse to store, so it is left out
// where a majority without it has granted; where one may yet, that is waited for.
func (a *attempt) agreed() bool {
	low, high := int64(math.MaxInt64), int64(0)
	for i := range a.shares {
		if s := &a.shares[i]; s.answer == granted {
			low, high = min(low, s.token), max(high, s.token)
		}
	}
	day := (24 * time.Hour).Microseconds()
	if high-low <= day {
		return true
	}
	ahead := 0
	for i := range a.shares {
		if s := &a.shares[i]; s.answer == granted && s.token-low > day {
			ahead++
		}
	}
	if a.count(granted)-ahead < a.lock.quorum {
		return ahead >= a.lock.quorum || a.count(none) == 0
	}
	for i := range a.shares {
		if s := &a.shares[i]; s.answer == granted && s.token-low > day {
			s.answer, s.err = unknown, fmt.Errorf("its fencing counter is %v ahead of the other nodes'", time.Duration(s.token-low)*time.Microsecond)
		}
	}
	return true
}

// invalid returns what no waiting mends.
func (a *attempt) invalid() error {
	for i := range a.shares {
		switch s := &a.shares[i]; {
		case s.answer == refused && s.conflict == -2:
			return a.lock.limitError(s.inForce)
		case s.answer == refused && s.conflict == -3:
			return a.lock.errorf(core.ErrInvalid, "Options.RestartGuard is %v, but %v is in force", a.lock.set.opt.RestartGuard, time.Duration(s.inForce)*time.Millisecond)
		case s.answer == unknown && errors.Is(s.err, core.ErrInvalid):
			return fmt.Errorf("%w", &core.NodeError{Node: a.lock.nodes[i].index, Err: s.err})
		}
	}
	return nil
}
