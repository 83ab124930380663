package checker

import (
	"fmt"
	"slices"
)

// exclusion finds overlaps of claims of which one is exclusive.
func exclusion(claims []Claim, _ *Rules) []*Violation {
	var found []*Violation
	var live []int // in order of their beginning
	for _, s := range timeline(heldSteps(claims)) {
		if s.kind == ends {
			live = slices.DeleteFunc(live, func(i int) bool { return i == s.i })
			continue
		}
		c := claims[s.i]
		for _, i := range live {
			o := claims[i]
			if c.Kind == Permit || o.Kind == Permit || c.Kind == Shared && o.Kind == Shared {
				continue
			}
			found = append(found, violation(RuleExclusion, s.at, overlap(o, c), o, c))
			break // one is enough: further ones overlap each other as well
		}
		live = append(live, s.i)
	}
	return found
}

// overlap says for how long two claims were held together.
func overlap(a, b Claim) string {
	end := a.End()
	if e := b.End(); end.IsZero() || !e.IsZero() && e.Before(end) {
		end = e
	}
	if end.IsZero() {
		return fmt.Sprintf("%s claim while another (%s) was held, for ever", b.Kind, a.Kind)
	}
	return fmt.Sprintf("%s claim while another (%s) was held, for %v", b.Kind, a.Kind, end.Sub(b.Granted))
}

// capacity finds permits beyond their limit and slots given twice.
func capacity(claims []Claim, _ *Rules) []*Violation {
	var over, slots []*Violation
	var live []int
	used := 0
	for _, s := range timeline(heldSteps(claims)) {
		c := claims[s.i]
		if c.Kind != Permit {
			continue
		}
		if s.kind == ends {
			live = slices.DeleteFunc(live, func(i int) bool { return i == s.i })
			used -= c.weight()
			continue
		}
		concerned := make([]Claim, 0, len(live)+1)
		for _, i := range live {
			concerned = append(concerned, claims[i])
			if o := claims[i]; c.Slot != NoSlot && o.Slot == c.Slot {
				slots = append(slots, violation(RuleSlot, s.at, fmt.Sprintf("slot %d twice", c.Slot), o, c))
			}
		}
		live = append(live, s.i)
		used += c.weight()
		if c.Limit > 0 && used > c.Limit {
			detail := fmt.Sprintf("%d permits held, the limit is %d", used, c.Limit)
			over = append(over, violation(RuleCapacity, s.at, detail, append(concerned, c)...))
		}
	}
	return append(over, slots...)
}
