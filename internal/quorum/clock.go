package quorum

import (
	"slices"
	"time"
)

// An instant is one moment on two clocks. Go's monotonic clock, which time.Time
// carries, and its timers stand still while the machine is suspended; the wall clock
// does not, but it may be stepped. A deadline has passed when either says so.
type instant struct {
	mono time.Time
	wall time.Time
}

// clock reads both clocks.
type clock func() time.Time

func (c clock) read() instant {
	return instant{time.Now(), c().Round(0)} // Round strips the monotonic reading
}

func (t instant) add(d time.Duration) instant { return instant{t.mono.Add(d), t.wall.Add(d)} }

func (t instant) isZero() bool { return t.mono.IsZero() }

// passed reports whether the deadline t has passed at now.
func (t instant) passed(now instant) bool {
	return !now.mono.Before(t.mono) || !now.wall.Before(t.wall)
}

// left returns how long it is from now to t, on the clock that says less.
func (t instant) left(now instant) time.Duration {
	return min(t.mono.Sub(now.mono), t.wall.Sub(now.wall))
}

// later returns the one that is later on the monotonic clock. Its wall clock counts even
// if that has been set back in between: it is what the wall clock is measured from now.
func later(a, b instant) instant {
	if b.mono.After(a.mono) {
		return b
	}
	return a
}

// latest returns the k-th latest of the instants that are not zero, on each clock by
// itself, and whether there are as many.
func latest(ts []instant, k int) (instant, bool) {
	var mono, wall []time.Time
	for _, t := range ts {
		if !t.isZero() {
			mono, wall = append(mono, t.mono), append(wall, t.wall)
		}
	}
	if len(mono) < k {
		return instant{}, false
	}
	down := func(a, b time.Time) int { return b.Compare(a) }
	slices.SortFunc(mono, down)
	slices.SortFunc(wall, down)
	return instant{mono[k-1], wall[k-1]}, true
}
