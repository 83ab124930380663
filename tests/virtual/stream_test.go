package virtual_test

import (
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
	"github.com/redlatch/redlatch/tests/testkit"
)

// From the moment somebody's ticket stands in line nobody who comes later is granted
// before. In virtual time nothing but the library makes anybody wait. Six round trips, of
// 2 ms at most each, bring anybody into the line: an attempt and a ticket, each for the
// first time, when the servers must be sent the script.
func TestStreams(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		for _, sides := range [][2]string{{"reader", "writer"}, {"writer", "reader"}} {
			in(t, nodes, func(w *world) {
				lockOf := func(int) *redlock.RWMutex { return w.client(core.Options{}).rw() }
				testkit.Stream(w.T, lockOf, sides[0], sides[1], 25, 12*time.Millisecond, 0)
			})
		}
	}
}
