package linear_test

import (
	"math"
	"slices"
	"strings"
)

// never is later than any time.
const never = math.MaxInt64 / 4

// A hold ends at a time that is not before from nor after to, in the node's ms: it lives
// as long as the clock is below that.
type hold struct {
	owner    string
	read     bool
	slot     int64 // -1: its call's reply was lost, or it has none
	from, to int64
	// open is the expiry of a call at an unknown time that made or prolonged it; 0: none.
	// Any later call at a known time bounds the end.
	open int64
}

// latest is the latest end.
func (h hold) latest() int64 {
	if h.open > 0 {
		return never
	}
	return h.to
}

// A state is all that a node knows of one lock.
type state struct {
	now     int64 // TIME of the latest call, us
	counter int64
	loose   bool  // the counter may be higher, by a call whose reply was lost
	limit   int64 // of a semaphore
	holds   []hold
}

func (s state) clone() state {
	s.holds = slices.Clone(s.holds)
	return s
}

func equal(a, b any) bool {
	x, y := a.(state), b.(state)
	return x.now == y.now && x.counter == y.counter && x.loose == y.loose && x.limit == y.limit && slices.Equal(x.holds, y.holds)
}

// find returns the place of an owner's hold, -1 if there is none.
func (s state) find(owner string, read bool) int {
	return slices.IndexFunc(s.holds, func(h hold) bool { return h.owner == owner && h.read == read })
}

func (s *state) add(h hold) {
	s.holds = append(s.holds, h)
	slices.SortFunc(s.holds, func(a, b hold) int { return strings.Compare(a.owner, b.owner) })
}

func (s state) written() bool {
	return slices.ContainsFunc(s.holds, func(h hold) bool { return !h.read })
}

// A window is when a call's script looked at the clock, in ms: for what has a TTL, and
// for what has a score.
type window struct{ ttl, score [2]int64 }

// at moves the state to the time of a call.
func (s *state) at(out answer) window {
	last := s.now / 1000
	if out.unknown || out.time() == 0 {
		w := [2]int64{last, never}
		return window{w, w}
	}
	s.now = out.time()
	ms, slack := s.now/1000, out.took/1000+1
	for i, h := range s.holds {
		if h.open > 0 {
			s.holds[i].to, s.holds[i].open = max(h.to, ms+h.open+1), 0
		}
	}
	return window{ttl: [2]int64{max(last, ms-slack), ms + slack}, score: [2]int64{ms, ms}}
}

// of returns the part of the window that counts for a hold.
func (w window) of(kind string, read bool) [2]int64 {
	if kind == "semaphore" || read {
		return w.score
	}
	return w.ttl
}

// end returns the ends that a hold of that expiry may get in the window.
func (w window) end(c call) (from, to, open int64) {
	at := w.of(c.kind, c.read)
	switch {
	case at[1] == never:
		return at[0] + c.expiry, 0, c.expiry
	case at[0] == at[1]:
		return at[0] + c.expiry, at[1] + c.expiry, 0
	}
	return at[0] + c.expiry, at[1] + c.expiry + 1, 0
}

// lapse returns the states that s may be in within the window: one, and two for each hold
// that may have lapsed or not.
func (s state) lapse(kind string, w window) []state {
	states := []state{{now: s.now, counter: s.counter, loose: s.loose, limit: s.limit}}
	for _, h := range s.holds {
		at := w.of(kind, h.read)
		lives, lapsed := at[0] < h.latest(), at[1] >= h.from
		for i := range states {
			one := states[i]
			if lives && lapsed {
				gone := one.clone()
				if at[1] == never {
					gone.now = max(gone.now, h.from*1000) // the call came no earlier
				}
				states = append(states, gone)
			}
			if lives {
				h := h
				h.from = max(h.from, at[0]+1)
				one.holds = append(one.holds, h)
				states[i] = one
			}
		}
	}
	return states
}
