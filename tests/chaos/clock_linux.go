package chaos

import (
	"time"

	"golang.org/x/sys/unix"
)

// A clock reads the machine's monotonic clock in ns. Go's own monotonic readings are
// of the same clock, less an offset that the process learns once.
type clock struct {
	base time.Time
	at   int64
}

func newClock() clock {
	var best clock
	closest := time.Hour
	for range 100 {
		var ts unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			panic(err) // every Linux has it
		}
		if d := time.Since(before); d < closest {
			closest, best = d, clock{before, ts.Nano()}
		}
	}
	return best
}

func (c clock) now() int64 { return c.of(time.Now()) }

// of converts a time that has a monotonic reading.
func (c clock) of(t time.Time) int64 { return c.at + int64(t.Sub(c.base)) }

// time converts back, to a time that says when it was to a reader, too.
func (c clock) time(ns int64) time.Time { return c.base.Round(0).Add(time.Duration(ns - c.at)) }
