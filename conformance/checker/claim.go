package checker

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what a claim excludes.
type Kind string

const (
	// Exclusive excludes every other claim of the name: a mutex, a writer.
	Exclusive Kind = "exclusive"
	// Shared excludes exclusive claims of the name only: a reader.
	Shared Kind = "shared"
	// Permit takes its weight from the limit of the name: a semaphore.
	Permit Kind = "permit"
)

// NoSlot is the Slot of a claim that has none.
const NoSlot = -1

// A Claim is one acquisition, from the call of Lock to its end. Zero times mean
// "did not happen" or "not known".
type Claim struct {
	// Name of the lock. Locks that do not exclude each other need different
	// names: a mutex and a semaphore of one name are best recorded as
	// "mutex:orders" and "semaphore:orders".
	Name   string `json:"name"`
	Client string `json:"client"` // who, for the reader of a report
	Kind   Kind   `json:"kind"`

	// Weight and Limit of a permit. Weight 0 counts as 1. Limit 0: not known,
	// the permit's capacity is not checked.
	Weight int `json:"weight,omitempty"`
	Limit  int `json:"limit,omitempty"`
	// Slot of a permit, NoSlot for none.
	Slot int `json:"slot"`
	// Token is the fencing token, 0 for none.
	Token int64 `json:"token,omitempty"`

	Asked      time.Time `json:"asked"`      // Lock was called
	GaveUp     time.Time `json:"gaveUp"`     // Lock returned without the lock
	Granted    time.Time `json:"granted"`    // Lock returned with the lock
	Released   time.Time `json:"released"`   // Release was called
	Lost       time.Time `json:"lost"`       // the lease's context ended before that
	ValidUntil time.Time `json:"validUntil"` // the lease's last deadline
}

// End is when the claim stopped being held: the earliest of Released, Lost and
// ValidUntil; zero for a claim that has not ended.
func (c Claim) End() time.Time {
	var end time.Time
	for _, t := range []time.Time{c.Released, c.Lost, c.ValidUntil} {
		if !t.IsZero() && (end.IsZero() || t.Before(end)) {
			end = t
		}
	}
	return end
}

// String describes the claim in one line.
func (c Claim) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s by %s", c.Kind, c.Name, c.Client)
	if c.Kind == Permit {
		fmt.Fprintf(&b, " weight %d of %d", c.weight(), c.Limit)
		if c.Slot != NoSlot {
			fmt.Fprintf(&b, " slot %d", c.Slot)
		}
	}
	if c.Token != 0 {
		fmt.Fprintf(&b, " token %d", c.Token)
	}
	for _, e := range []struct {
		what string
		at   time.Time
	}{
		{"asked", c.Asked}, {"gave up", c.GaveUp}, {"granted", c.Granted},
		{"released", c.Released}, {"lost", c.Lost}, {"valid until", c.ValidUntil},
	} {
		if !e.at.IsZero() {
			fmt.Fprintf(&b, ", %s %s", e.what, stamp(e.at))
		}
	}
	return b.String()
}

func (c Claim) weight() int {
	return max(c.Weight, 1)
}

// held tells whether the claim was held for any time at all.
func (c Claim) held() bool {
	if c.Granted.IsZero() {
		return false
	}
	end := c.End()
	return end.IsZero() || end.After(c.Granted)
}

// stamp writes a time to the microsecond, in UTC, so that claims of one report
// can be compared by eye.
func stamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000000")
}
