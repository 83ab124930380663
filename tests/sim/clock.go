package sim

import (
	"sync"
	"time"
)

// A Clock is the wall clock of one machine, derived from the bubble's time. It
// is safe for concurrent use.
type Clock struct {
	mu     sync.Mutex
	anchor time.Time // the bubble's time at which the clock showed shown
	shown  time.Time
	rate   float64 // seconds shown per second; 0 stands still
}

// NewClock returns a clock that is ahead of the bubble's time by offset and
// runs at rate.
func NewClock(offset time.Duration, rate float64) *Clock {
	now := time.Now()
	// Without its monotonic part, as another machine's time would be.
	return &Clock{anchor: now, shown: now.Add(offset).Round(0), rate: rate}
}

// Now is what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now(time.Now())
}

func (c *Clock) now(t time.Time) time.Time {
	d := t.Sub(c.anchor)
	if c.rate != 1 {
		d = time.Duration(float64(d) * c.rate)
	}
	return c.shown.Add(d)
}

// Step moves the clock by d at once.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.shown, c.anchor = c.now(now).Add(d), now
}

// SetRate changes how fast the clock runs from now on.
func (c *Clock) SetRate(rate float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.shown, c.anchor, c.rate = c.now(now), now, rate
}
