package checker

import (
	"slices"
	"time"
)

// A step is one moment at which the state of a name changes.
type step struct {
	at   time.Time
	kind stepKind
	i    int // index of the claim
}

type stepKind int

// At one moment, what ends comes before what begins: claims are half-open, so a
// claim that begins when another ends does not overlap it.
const (
	ends     stepKind = iota // a claim ends
	stops                    // a wait ends
	begins                   // a claim begins
	asks                     // a wait begins
	deadline                 // the history ends
)

// timeline sorts steps by time, then by kind, then by claim.
func timeline(steps []step) []step {
	slices.SortFunc(steps, func(a, b step) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		if a.kind != b.kind {
			return int(a.kind - b.kind)
		}
		return a.i - b.i
	})
	return steps
}

// heldSteps are the beginnings and ends of the claims that were held.
func heldSteps(claims []Claim) []step {
	var steps []step
	for i, c := range claims {
		if !c.held() {
			continue
		}
		steps = append(steps, step{c.Granted, begins, i})
		if end := c.End(); !end.IsZero() {
			steps = append(steps, step{end, ends, i})
		}
	}
	return steps
}

// waitEnd is when the wait of c was over, zero if it is still going on.
func waitEnd(c Claim) time.Time {
	if !c.Granted.IsZero() {
		return c.Granted
	}
	return c.GaveUp
}
