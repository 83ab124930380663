package quorum

import (
	"fmt"
	"math"
	"time"

	"github.com/redlatch/redlatch/internal/random"
)

// askRest asks all nodes that have not been asked.
func (a *attempt) askRest(how string) {
	a.rest, a.armed, a.rang, a.reason = true, false, false, forNothing
	if a.timer != nil {
		a.timer.Stop() // it was for the lead's silence
	}
	for i := range a.shares {
		if s := &a.shares[i]; s.answer == none && s.pending == 0 {
			a.ask(i, how)
		}
	}
}

// askAgain asks the refusing nodes once more, after a while: the lead has granted, so
// it is this waiter's turn, and the others may not have the last holder's release yet.
func (a *attempt) askAgain() {
	switch {
	case a.rang:
		a.rang = false
		for i := range a.shares {
			if s := &a.shares[i]; s.answer == refused {
				s.answer = none
				a.ask(i, "consent")
			}
		}
	case !a.armed:
		a.backoff = min(max(2*a.backoff, time.Millisecond), a.lock.set.opt.MaxBusyWait)
		a.alarm(random.Around(a.backoff))
	}
}

// kept returns how many nodes are free but keep the lock for one from the lead's line.
func (a *attempt) kept() (n int) {
	for i := range a.shares {
		if s := &a.shares[i]; s.answer == refused && s.kept {
			n++
		}
	}
	return n
}

// askKept asks them once more: the lead has granted, so nobody stands in its line.
func (a *attempt) askKept() {
	for i := range a.shares {
		if s := &a.shares[i]; s.answer == refused && s.kept {
			s.answer = none
			a.ask(i, "again")
		}
	}
}

// ask sends the acquire script to the i-th node; how is what the script calls the
// manner of asking any but the lead.
func (a *attempt) ask(i int, how string) {
	switch {
	case len(a.shares) == 1:
		how = "only"
	case i == a.lead:
		how = "lead"
	}
	manner := []string{how, a.lock.set.guard}
	if i == a.lead && a.inLine {
		manner = append(manner, a.waiter.stand(a.lock.nodes[i])...)
	}
	a.create(&a.first, i, a.lock.Kind.Acquire, a.proposal, manner, (*Hold).acquired)
}

// acquired takes the answer to an acquire script.
func (h *Hold) acquired(i int, t0 instant, reply []int64, err error) {
	s := &h.shares[i]
	if err == nil {
		err = h.checkAcquire(reply)
	}
	switch {
	case err != nil:
		s.answer, s.err = unknown, err
	case reply[0] == 1:
		s.answer, s.token = granted, reply[2]
		if !s.repaired && !t0.mono.Before(s.heard) { // an extension may have been answered before
			s.end = later(s.end, h.confirmed(t0))
		}
		if h.phase == trying {
			h.slot = int(reply[3])
		}
	case reply[0] == 0:
		s.answer, s.left, s.place = refused, time.Duration(reply[2])*time.Millisecond, int(reply[3])
		s.inTurn, s.kept = reply[4] == 2, reply[4] == 3
	default:
		s.answer, s.conflict, s.inForce = refused, reply[0], reply[2]
	}
	if s.answer == refused && s.pending == 0 {
		s.stands = false
	}
	if h.phase == held {
		h.recount()
	}
}

// checkAcquire refuses a reply that the acquire script cannot have given.
func (h *Hold) checkAcquire(reply []int64) error {
	want := map[int64]int{1: 4, 0: 5, -2: 3, -3: 3}[reply[0]]
	ok := len(reply) == want && reply[2] >= 0
	if ok && reply[0] == 1 {
		ok = (reply[2] > 0) == h.lock.Fenced && reply[2] < 1<<53 && reply[3] >= -1 && reply[3] < math.MaxInt32
	}
	if !ok {
		return fmt.Errorf("the acquire script's reply is %v", reply)
	}
	return nil
}
