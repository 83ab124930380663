package hold

import (
	"context"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/protocol"
	"github.com/redlatch/redlatch/internal/random"
	"github.com/redlatch/redlatch/internal/vote"
)

// attempt is a Hold that is being tried for. It asks the nodes, and package vote decides
// what their answers mean.
type attempt struct {
	*Hold
	caller   *Caller // nil: will not wait
	proposal string  // the token proposed, the same to all nodes so that they answer alike
	inLine   bool    // the waiter has a ticket
	alone    bool    // only the lead has been asked
	over     bool    // the window is

	timer   *time.Timer
	waiting vote.Move     // what the timer is for; vote.Await: nothing
	rang    bool          // the timer has
	backoff time.Duration // before refusing nodes are asked again
}

// Attempt tries once to get a majority, with an owner id of its own. A waiter with a
// ticket asks the lead first and the others when it has the lead's consent; all else
// asks all nodes together.
func (l *Target) Attempt(ctx context.Context, w *Caller) (*core.Lease, Outcome) {
	if l.Set.IsClosed() {
		return nil, Ended(l.ClosedError())
	}
	if err := l.Set.SameServer(len(l.Nodes)); err != nil {
		return nil, Ended(err)
	}
	before, told, in := l.Set.Gate.Enter(ctx, l.Set.Done, w != nil && w.Called)
	switch {
	case told != nil:
		return nil, l.told(told)
	case !in:
		o := Ended(l.notSent(ctx, before))
		o.Recent = ctx.Err() != nil
		return nil, o
	}
	defer l.Set.Gate.Leave()
	h := newHold(l, ctx)
	h.began, h.lead = l.Set.Now().Mono, l.Lead()
	a := &attempt{Hold: h, caller: w}
	a.proposal = l.proposal()
	a.inLine = w != nil && w.Ticket != nil
	h.first = l.Set.Limited(h.began, h.values, &h.left)
	return a.run(ctx)
}

// run makes the attempt, and cleans up after one that has not won.
func (a *attempt) run(ctx context.Context) (*core.Lease, Outcome) {
	h, l, w := a.Hold, a.lock, a.caller
	defer h.left.Store(true)

	h.mu.Lock()
	defer h.mu.Unlock()
	if w != nil {
		w.Latest.Store(h)
	}
	if a.inLine {
		h.ticket = w.Ticket
	}
	if a.alone = a.inLine && len(l.Nodes) > 1; a.alone {
		a.ask(a.lead, protocol.Lead)
	} else {
		a.askOthers(protocol.Free)
	}
	lease, o, done := a.step()
	for !done {
		if left := a.wait(ctx); left {
			o, done = a.interrupted(), true
		} else {
			lease, o, done = a.step()
		}
	}
	if lease == nil {
		h.finish(nil)
		h.clearAll()
		switch {
		case l.Set.IsClosed(): // which has ended the contexts of calls, too
			o = Ended(l.ClosedError())
		case a.over && o.Verdict == Outage && !o.Late && a.unheard():
			l.Set.Gate.Tell(h.began, cluster.Blackout{Err: o.Err, Answered: o.Answered})
		}
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	o.Lead = a.lead
	if lease == nil {
		met := o
		h.met = &met
	}
	return lease, o
}

// wait waits for something to happen, and reports whether that is the caller's leaving. It is
// called with Hold.mu held, which it gives up meanwhile.
func (a *attempt) wait(ctx context.Context) (left bool) {
	var ring <-chan time.Time
	if a.timer != nil {
		ring = a.timer.C
	}
	a.mu.Unlock()
	defer a.mu.Lock()
	select {
	case <-a.changed:
	case <-ring:
		a.rang = true
	case <-a.first.Done():
		a.over = true
	case <-ctx.Done():
		left = true
	case <-a.lock.Set.Done:
		left = true
	}
	return left
}

// stay waits with a reason, for as long as its patience is; it goes on to wait where it
// does already.
func (a *attempt) stay(m vote.Move) {
	if a.waiting == m {
		return
	}
	a.waiting, a.rang = m, false
	d := a.patienceFor(m)
	if a.timer == nil {
		a.timer = time.NewTimer(d)
	} else {
		a.timer.Reset(d)
	}
}

// patienceFor returns how long the attempt stays with a move.
func (a *attempt) patienceFor(m vote.Move) time.Duration {
	switch m {
	case vote.AwaitLead:
		return a.leadPatience()
	case vote.AwaitPause:
		a.backoff = min(max(2*a.backoff, time.Millisecond), a.lock.Set.Opt.MaxBusyWait)
		return random.Around(a.backoff)
	case vote.AwaitAll:
		return a.lock.patience(usually)
	default: // a moment
		return a.lock.patience(10 * time.Millisecond)
	}
}

// patience is how long a waiter stays with one way of asking when nodes are silent:
// longer than answers usually take. The slowest way that is known counts: that to the
// lead may not be known yet.
func (l *Target) patience(least time.Duration) time.Duration {
	rtt := time.Duration(0)
	for _, n := range l.Nodes {
		rtt = max(rtt, n.RoundTrip())
	}
	return least + 4*rtt
}

// leadPatience is how long a silent lead is waited for, once: it is passed over from
// then on until it answers. Whoever comes meanwhile may overtake those in its line, so
// this is more than the moment that a busy server takes now and then; but it leaves the
// others time to grant.
func (a *attempt) leadPatience() time.Duration {
	return min(a.lock.patience(usually), a.lock.Set.Window/2)
}

// step looks at the answers that are there and decides, or asks on.
func (a *attempt) step() (lease *core.Lease, o Outcome, done bool) {
	if a.over {
		a.giveUpOnSilent()
	}
	if err := a.lock.Set.SameServer(len(a.shares)); err != nil {
		return nil, Ended(err), true
	}
	lead := a.lock.Nodes[a.lead]
	if a.rang && a.waiting == vote.AwaitLead && a.shares[a.lead].vote.Pending() {
		lead.Failing.Store(true)
	}
	b := a.ballot()
	move := b.Next()
	if o = a.outcome(&b); move != vote.AwaitProofs {
		a.proved(&b)
	}
	switch move {
	case vote.Await:
	case vote.AskOthers:
		a.askOthers(protocol.Consent)
	case vote.PassOver: // a lead that is silent or failing does not hold up the others
		lead.Failing.Store(true)
		a.askOthers(protocol.Free)
	case vote.AskKept:
		a.askAgain(protocol.Again, func(v vote.Vote) bool { return v == vote.Kept })
	case vote.AskRefusing:
		a.waiting = vote.Await
		a.askAgain(protocol.Consent, vote.Vote.Refuses)
	case vote.Win:
		return a.won(o)
	case vote.StandInLine, vote.GiveUp:
		o = a.judge(o, &b, (*cluster.Node).Unheard)
		if move == vote.StandInLine && o.Verdict == Outage {
			o.Verdict = undecided
		}
		return nil, o, true
	default:
		a.stay(move)
	}
	return nil, o, false
}

// unheard reports whether the nodes that have not answered the attempt have not answered
// anything since it began.
func (a *attempt) unheard() bool {
	for i, n := range a.lock.Nodes {
		if a.shares[i].vote.Fails() && n.AnsweredSince(a.began) {
			return false
		}
	}
	return true
}

// outcome is what a waiter needs to know of an attempt, beside the verdict.
func (a *attempt) outcome(b *vote.Ballot) Outcome {
	o := Outcome{Answered: b.Answered(), Left: -1, Place: -1}
	lead, s := a.lock.Nodes[a.lead], &a.shares[a.lead]
	switch {
	case s.vote == vote.Conflict:
	case s.vote.Refuses():
		o.Left, o.Place = s.left, s.place
	case s.vote.Grants():
		o.Granted = lead
	}
	o.Untold = a.ago > cluster.Tolerance+4*lead.RoundTrip() || a.dropped && a.inLine && a.ticket.stood(lead)
	return o
}

// ballot is what package vote decides by.
func (a *attempt) ballot() vote.Ballot {
	b := a.Hold.ballot()
	b.Failing = a.lock.Nodes[a.lead].Failing.Load()
	b.Alone, b.Queued, b.Waits, b.Over = a.alone, a.inLine, a.caller != nil, a.over
	b.Proving = a.proving()
	if a.rang {
		b.Waited = a.waiting
	}
	return b
}

// proving reports whether this is the set's first attempt, and a node that is not verified
// has not answered: its caller is to be told of a server that was given twice, whatever the
// others say.
func (a *attempt) proving() bool {
	if a.lock.Set.Proven.Load() {
		return false
	}
	for i, n := range a.lock.Nodes {
		if a.shares[i].vote.Pending() && !n.IsVerified() {
			return true
		}
	}
	return false
}

// proved notes that the first attempt goes on: the next ones do not wait for proofs.
func (a *attempt) proved(b *vote.Ballot) {
	if !b.Alone && b.MayDecide() {
		a.lock.Set.Proven.Store(true)
	}
}

// giveUpOnSilent counts the nodes that have not answered within the window as failed.
func (a *attempt) giveUpOnSilent() {
	a.alone = false
	for i := range a.shares {
		if s, n := &a.shares[i], a.lock.Nodes[i]; s.vote.Pending() {
			s.fail(n.Silence(n.Set.ErrNoAnswer))
			n.Failing.Store(true)
		}
	}
}
