package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redlatch/redlatch/tests/sim"
)

// TestSeedsRepeat makes runs again, with the goroutines of one instant in any order, and
// compares the digests of all that happened. It takes some short runs, or REDLATCH_SIM_RUNS
// whole ones, from REDLATCH_SIM_SEED on (default 1). Of two runs that differ,
// REDLATCH_SIM_EVENTS, the beginning of a file name, keeps what happened, a line for each
// event.
func TestSeedsRepeat(t *testing.T) {
	if raceDetector {
		t.Skip("the runtime takes goroutines in any order then, and in some seeds an attempt ends at the instant of an answer")
	}
	alone(t)
	var plans []sim.Plan
	first, runs := setting(t, "REDLATCH_SIM_SEED", 1, number), setting(t, "REDLATCH_SIM_RUNS", 0, number)
	for seed := first; seed < first+runs; seed++ {
		plans = append(plans, sim.NewPlan(seed))
	}
	if runs == 0 {
		// Order has mattered in these: to who finds what a ticket leaves behind, to which call
		// meets a dead connection, and to which of two callers a delay befalls.
		for _, short := range []struct {
			seed  uint64
			storm time.Duration
		}{{1, 40 * time.Second}, {2, time.Hour}, {19, 40 * time.Second}} {
			plan := sim.NewPlan(short.seed)
			plan.Storm, plan.Calm = min(plan.Storm, short.storm), 0
			plans = append(plans, plan)
		}
	}
	total, passed, differ := &sim.Stats{}, int64(0), 0
	for _, plan := range plans {
		once := carryOut(t, plan, total)
		plan.Shuffle = true
		again := carryOut(t, plan, total)
		passed += again.Passed
		if once.Trace != again.Trace {
			differ++
			t.Errorf("seed %d: got the trace %016x, and %016x with goroutines in another order", plan.Seed, once.Trace, again.Trace)
		}
	}
	fmt.Printf("repeated %d seeds: %d the same, goroutines have let others pass %d times\n", len(plans), len(plans)-differ, passed)
	if scripts := total.Scripts.Load(); runs == 0 && (scripts < 10_000 || passed < 10_000) {
		t.Errorf("got %d scripts, and goroutines that let others pass %d times, want tens of thousands", scripts, passed)
	}
}
