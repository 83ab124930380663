package cluster

import (
	"slices"
	"time"
)

// An Instant is one moment on two clocks. Go's monotonic clock, which time.Time
// carries, and its timers stand still while the machine is suspended; the wall clock
// does not, but it may be stepped. A deadline has passed when either says so.
type Instant struct {
	Mono time.Time
	wall time.Time
}

// clock reads both clocks.
type clock func() time.Time

func (c clock) read() Instant {
	return Instant{time.Now(), c().Round(0)} // Round strips the monotonic reading
}

// Add returns the moment that is d later on both clocks.
func (t Instant) Add(d time.Duration) Instant { return Instant{t.Mono.Add(d), t.wall.Add(d)} }

// IsZero reports whether t is no moment.
func (t Instant) IsZero() bool { return t.Mono.IsZero() }

// Passed reports whether the deadline t has passed at now.
func (t Instant) Passed(now Instant) bool {
	return !now.Mono.Before(t.Mono) || !now.wall.Before(t.wall)
}

// Left returns how long it is from now to t, on the clock that says less.
func (t Instant) Left(now Instant) time.Duration {
	return min(t.Mono.Sub(now.Mono), t.wall.Sub(now.wall))
}

// Later returns the one that is later on the monotonic clock. Its wall clock counts even
// if that has been set back in between: it is what the wall clock is measured from now.
func Later(a, b Instant) Instant {
	if b.Mono.After(a.Mono) {
		return b
	}
	return a
}

// Latest returns the k-th latest of the instants that are not zero, on each clock by
// itself, and whether there are as many.
func Latest(ts []Instant, k int) (Instant, bool) {
	var mono, wall []time.Time
	for _, t := range ts {
		if !t.IsZero() {
			mono, wall = append(mono, t.Mono), append(wall, t.wall)
		}
	}
	if len(mono) < k {
		return Instant{}, false
	}
	down := func(a, b time.Time) int { return b.Compare(a) }
	slices.SortFunc(mono, down)
	slices.SortFunc(wall, down)
	return Instant{mono[k-1], wall[k-1]}, true
}
