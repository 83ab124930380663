package checker

import (
	"fmt"
	"time"
)

// waits finds those who waited for longer than MaxWait.
func waits(claims []Claim, rules *Rules) []*Violation {
	if rules.MaxWait <= 0 {
		return nil
	}
	var found []*Violation
	for _, c := range claims {
		if c.Asked.IsZero() {
			continue
		}
		from, to := later(c.Asked, rules.Calm), waitEnd(c)
		if to.IsZero() {
			to = rules.Until
		}
		if waited := to.Sub(from); !to.IsZero() && waited > rules.MaxWait {
			found = append(found, violation(RuleWait, from.Add(rules.MaxWait),
				fmt.Sprintf("waited %v, the bound is %v", waited, rules.MaxWait), c))
		}
	}
	return found
}

// idle finds the times in which a waiter could have been served for longer than
// MaxIdle and was not.
func idle(claims []Claim, rules *Rules) []*Violation {
	if rules.MaxIdle <= 0 {
		return nil
	}
	steps := heldSteps(claims)
	for i, c := range claims {
		end := waitEnd(c)
		if c.Asked.IsZero() || end.Equal(c.Asked) {
			continue
		}
		steps = append(steps, step{c.Asked, asks, i})
		if !end.IsZero() {
			steps = append(steps, step{end, stops, i})
		}
	}
	if !rules.Until.IsZero() {
		steps = append(steps, step{rules.Until, deadline, -1})
	}

	var found []*Violation
	var since time.Time // since when somebody could be served; zero: nobody can
	holders, used := 0, 0
	waiting := map[int]bool{}
walk:
	for _, s := range timeline(steps) {
		if free := s.at.Sub(since); !since.IsZero() && free > rules.MaxIdle && s.kind != asks {
			found = append(found, violation(RuleIdle, since.Add(rules.MaxIdle),
				fmt.Sprintf("free for %v while somebody waited, the bound is %v", free, rules.MaxIdle),
				firstWaiter(claims, waiting)))
			since = s.at
		}
		if s.kind == deadline {
			break walk // a lease's end may be known that is yet to come
		}
		switch s.kind {
		case begins:
			holders++
			used += claims[s.i].weight()
		case ends:
			holders--
			used -= claims[s.i].weight()
		case asks:
			waiting[s.i] = true
		case stops:
			delete(waiting, s.i)
		}
		switch {
		case !servable(claims, waiting, holders, used):
			since = time.Time{}
		case since.IsZero(), s.kind == stops && !claims[s.i].Granted.IsZero():
			since = later(s.at, rules.Calm)
		case s.kind == stops:
			// Somebody gave up: the others were owed the lock from when they asked.
			since = later(since, firstWaiter(claims, waiting).Asked)
		}
	}
	return found
}

// servable tells whether one of those waiting could be let in.
func servable(claims []Claim, waiting map[int]bool, holders, used int) bool {
	for i := range waiting {
		c := claims[i]
		if holders == 0 || c.Kind == Permit && c.Limit > 0 && used+c.weight() <= c.Limit {
			return true
		}
	}
	return false
}

// firstWaiter picks the one who asked first.
func firstWaiter(claims []Claim, waiting map[int]bool) Claim {
	first := -1
	for i := range waiting {
		if first < 0 || claims[i].Asked.Before(claims[first].Asked) || claims[i].Asked.Equal(claims[first].Asked) && i < first {
			first = i
		}
	}
	return claims[first]
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
