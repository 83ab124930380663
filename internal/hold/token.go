package hold

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/vote"
)

// errTooLate says that a majority granted, but left too little validity.
var errTooLate = errors.New("granted too late")

// won settles the token, checks what is left of the validity, and begins the lease.
func (a *attempt) won(o Outcome) (*core.Lease, Outcome, bool) {
	l := a.lock
	if l.Fenced && !a.settled() {
		if a.over {
			o.Verdict, o.Late, o.Err = Outage, true, a.tooLate("token %d did not reach a majority within %v", a.token, l.Set.Window)
		}
		return nil, o, a.over
	}
	l.Set.Saw(a.token)
	now := l.Set.Now()
	until, ok := a.deadline()
	if !ok || until.Left(now) < l.Set.Opt.MinValidity {
		o.Verdict, o.Late, o.Err = Outage, true, a.tooLate("a majority took %v, the window is %v less the drift, %v", now.Mono.Sub(a.began), l.Set.Window, l.Set.Drift)
		return nil, o, true
	}
	lease, ok := a.begin(until)
	if !ok {
		o = Ended(l.ClosedError())
	}
	return lease, o, true
}

// tooLate is the failure of the nodes that granted, but too late for the whole.
func (a *attempt) tooLate(format string, args ...any) error {
	late := fmt.Errorf("%w: "+format, append([]any{errTooLate}, args...)...)
	var errs []error
	for i := range a.shares {
		if a.shares[i].vote.Grants() {
			errs = append(errs, a.lock.Nodes[i].Failed(late))
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
			if a.shares[i].vote.Grants() {
				a.token = max(a.token, a.shares[i].token)
			}
		}
	}
	have := 0
	for i := range a.shares {
		s := &a.shares[i]
		switch {
		case !s.vote.Grants():
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
		if s := &a.shares[i]; s.vote.Grants() {
			low, high = min(low, s.token), max(high, s.token)
		}
	}
	day := (24 * time.Hour).Microseconds()
	if high-low <= day {
		return true
	}
	ahead := 0
	for i := range a.shares {
		if s := &a.shares[i]; s.vote.Grants() && s.token-low > day {
			ahead++
		}
	}
	if a.count(vote.Vote.Grants)-ahead < a.lock.quorum {
		return ahead >= a.lock.quorum || a.count(vote.Vote.Pending) == 0
	}
	for i := range a.shares {
		if s := &a.shares[i]; s.vote.Grants() && s.token-low > day {
			s.fail(fmt.Errorf("its fencing counter is %v ahead of the other nodes'", time.Duration(s.token-low)*time.Microsecond))
		}
	}
	return true
}
