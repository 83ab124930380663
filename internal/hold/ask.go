package hold

import (
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/protocol"
	"github.com/redlatch/redlatch/internal/vote"
)

// askOthers asks all nodes that have not been asked.
func (a *attempt) askOthers(how protocol.Manner) {
	a.alone, a.waiting = false, vote.Await
	if a.timer != nil {
		a.timer.Stop() // it was for the lead's silence
	}
	for i := range a.shares {
		if a.shares[i].vote == vote.Unasked {
			a.ask(i, how)
		}
	}
}

// askAgain asks once more the nodes whose vote is such: the lead has granted, so it is this
// attempt's turn, and they may not have the last holder's release yet, or keep the lock for
// nobody.
func (a *attempt) askAgain(how protocol.Manner, such func(vote.Vote) bool) {
	for i := range a.shares {
		if such(a.shares[i].vote) {
			a.ask(i, how)
		}
	}
}

// ask sends the acquire script to the i-th node; how is the manner for any but the lead.
func (a *attempt) ask(i int, how protocol.Manner) {
	switch {
	case len(a.shares) == 1:
		how = protocol.Only
	case i == a.lead:
		how = protocol.Lead
	}
	var place *protocol.Place
	if i == a.lead && a.inLine {
		place = a.ticket.stand(a.values.Of, a.lock.Nodes[i])
	}
	a.shares[i].vote = vote.Silent
	a.create(&a.first, i, a.lock.Kind.Acquire, a.call(a.proposal).Acquire(how, a.lock.Set.Guard, place), (*Hold).acquired)
}

// acquired takes the answer to an acquire script.
func (h *Hold) acquired(i int, t0 cluster.Instant, reply protocol.Reply, err error) {
	s := &h.shares[i]
	var got protocol.Acquired
	if err == nil {
		got, err = reply.Acquired(h.lock.Fenced)
	}
	switch {
	case err != nil:
		s.fail(err)
	case got.Status == protocol.Granted:
		s.vote, s.token = vote.Granted, got.Token
		if !s.repaired && !t0.Mono.Before(s.heard) { // an extension may have been answered before
			s.end = cluster.Later(s.end, h.confirmed(t0))
		}
		if h.phase == trying {
			h.slot = got.Slot
			h.ago = max(h.ago, got.Called)
			h.dropped = h.dropped || got.Dropped
		}
	case got.Status == protocol.Refused:
		s.vote, s.left, s.place = refusal(got.Why), got.Left, got.Place
		h.dropped = h.dropped || got.Dropped
	default:
		s.vote, s.err = vote.Conflict, h.lock.conflict(got)
	}
	if s.vote.Refuses() && s.pending == 0 {
		s.stands = false
	}
	if h.phase == held {
		h.recount()
	}
}

// refusal returns the vote of a node that refuses.
func refusal(why protocol.Why) vote.Vote {
	switch why {
	case protocol.Turn:
		return vote.Turn
	case protocol.Kept:
		return vote.Kept
	}
	return vote.Held
}

// conflict returns the error for a limit or a restart guard that is not the one in force.
func (l *Target) conflict(got protocol.Acquired) error {
	if got.Status == protocol.OtherLimit {
		return l.otherParam(got.InForce)
	}
	return l.errorf(core.ErrInvalid, "Options.RestartGuard is %v, but %v is in force", l.Set.Opt.RestartGuard, time.Duration(got.InForce)*time.Millisecond)
}
