package checker

import (
	"fmt"
	"slices"
)

// fairness finds those who were overtaken more often than MaxOvertakes.
func fairness(claims []Claim, rules *Rules) []*Violation {
	if rules.Fairness == nil {
		return nil
	}
	// By time of the grant: who overtook c was granted before it and after the
	// moment it asked, so only a stretch of this order needs to be looked at.
	var granted []Claim
	for _, c := range claims {
		if !c.Granted.IsZero() && !c.Asked.IsZero() {
			granted = append(granted, c)
		}
	}
	slices.SortStableFunc(granted, func(a, b Claim) int { return a.Granted.Compare(b.Granted) })

	var found []*Violation
	for i, c := range granted {
		if c.Asked.Before(rules.Calm) {
			continue
		}
		after := c.Asked.Add(rules.Fairness.Slack)
		n, last := 0, -1
		for j := i - 1; j >= 0 && granted[j].Granted.After(after); j-- {
			if granted[j].Asked.After(after) && granted[j].Granted.Before(c.Granted) {
				n++
				if last < 0 {
					last = j
				}
			}
		}
		if n > rules.Fairness.MaxOvertakes {
			found = append(found, violation(RuleFairness, granted[last].Granted,
				fmt.Sprintf("overtaken %d times, the bound is %d", n, rules.Fairness.MaxOvertakes), c, granted[last]))
		}
	}
	return found
}
