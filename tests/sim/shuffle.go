package sim

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
)

// A shuffle lets the goroutines that are due at one instant go in another order in each
// run, as a busy machine may, and as the runtime does with timers that are due together. A
// run must come to the same all the same. nil: they go as they come.
type shuffle struct {
	passed atomic.Int64 // how many times a goroutine let others pass
}

// yield is called where the library meets the simulation.
func (s *shuffle) yield() {
	if s == nil {
		return
	}
	for rand.IntN(3) == 0 {
		s.passed.Add(1)
		runtime.Gosched()
	}
}
