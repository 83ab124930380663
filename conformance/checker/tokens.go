package checker

import (
	"fmt"
	"slices"
)

// tokens finds fencing tokens that came twice or out of order.
//
// Exclusive claims follow each other, so their tokens must rise from grant to
// grant. Permits are granted side by side, and which of two concurrent calls
// was served first cannot be seen from outside; there a token must exceed those
// granted before its holder asked.
func tokens(claims []Claim, rules *Rules) []*Violation {
	if rules.Forgotten {
		return nil
	}
	var twice, order []*Violation
	first := map[int64]int{}
	var steps []step
	for i, c := range claims {
		if c.Granted.IsZero() || c.Token == 0 {
			continue
		}
		if j, ok := first[c.Token]; ok {
			twice = append(twice, violation(RuleUnique, c.Granted, fmt.Sprintf("token %d twice", c.Token), claims[j], c))
		} else {
			first[c.Token] = i
		}
		steps = append(steps, step{c.Granted, begins, i})
		if c.Kind == Permit && !c.Asked.IsZero() {
			steps = append(steps, step{c.Asked, asks, i})
		}
	}

	highest := -1          // index of the highest token granted so far
	floor := map[int]int{} // by permit: the value of highest when it asked
	judge := func(i, than int) {
		if than >= 0 && claims[i].Token < claims[than].Token {
			order = append(order, violation(RuleOrder, claims[i].Granted,
				fmt.Sprintf("token %d after %d", claims[i].Token, claims[than].Token), claims[than], claims[i]))
		}
	}
	for _, s := range timeline(steps) {
		c := claims[s.i]
		switch {
		case s.kind == asks:
			floor[s.i] = highest
			continue
		case c.Kind != Permit:
			judge(s.i, highest)
		default:
			if than, ok := floor[s.i]; ok {
				judge(s.i, than)
			}
		}
		if highest < 0 || c.Token > claims[highest].Token {
			highest = s.i
		}
	}
	slices.SortStableFunc(twice, func(a, b *Violation) int { return a.At.Compare(b.At) })
	return append(twice, order...)
}
