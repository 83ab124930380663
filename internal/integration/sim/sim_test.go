package sim_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/internal/integration/sim"
)

// setting reads the size of a test from the environment.
func setting[T any](t *testing.T, name string, value T, parse func(string) (T, error)) T {
	t.Helper()
	if text := os.Getenv(name); text != "" {
		v, err := parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return v
	}
	return value
}

func number(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) }

// alone gives the process to one bubble at a time: with one processor runs are
// faster, as their goroutines hand over to each other, and repeat themselves.
func alone(t *testing.T) {
	procs, gc := runtime.GOMAXPROCS(1), debug.SetGCPercent(400)
	t.Cleanup(func() {
		runtime.GOMAXPROCS(procs)
		debug.SetGCPercent(gc)
	})
}

// carryOut is one run of a plan in a bubble of its own.
func carryOut(t *testing.T, plan sim.Plan, total *sim.Stats) (res sim.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		stats := &sim.Stats{}
		var err error
		if res, err = sim.Run(plan, stats); err != nil {
			t.Fatal(err)
		}
		total.Add(stats)
		t.Logf("%v, %d stale writes refused, trace %016x", stats, res.Refused, res.Trace)
	})
	return res
}

// TestSimulation goes through seeds, one run each, from REDLATCH_SIM_SEED
// (default 1) for REDLATCH_SIM_TIME of real time (default 20s), or for exactly
// REDLATCH_SIM_RUNS runs. To replay a run, give its seed and REDLATCH_SIM_RUNS=1.
func TestSimulation(t *testing.T) {
	alone(t)
	first := setting(t, "REDLATCH_SIM_SEED", 1, number)
	lasts := setting(t, "REDLATCH_SIM_TIME", 20*time.Second, time.ParseDuration)
	runs := setting(t, "REDLATCH_SIM_RUNS", 0, number)

	total, start, refused, seed := &sim.Stats{}, time.Now(), int64(0), first
	for ; runs > 0 && seed < first+runs || runs == 0 && time.Since(start) < lasts; seed++ {
		plan := sim.NewPlan(seed)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			res := carryOut(t, plan, total)
			refused += res.Refused
			if res.Err != nil {
				t.Errorf("%v\nplan %+v\nreplay with REDLATCH_SIM_SEED=%d REDLATCH_SIM_RUNS=1", res.Err, plan, seed)
			}
		})
	}
	took := time.Since(start)
	t.Logf("seeds %d to %d: %v, %d stale writes refused; %v of real time, %.0f scripts/s\n%s", first, seed-1, total, refused,
		took.Round(time.Second), float64(total.Scripts.Load())/took.Seconds(), total.FaultTable())
}

// TestReplay makes some runs twice and compares their digests.
func TestReplay(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector shuffles the goroutines that are due at one instant")
	}
	alone(t)
	for _, seed := range []uint64{2, 22} {
		first := carryOut(t, sim.NewPlan(seed), &sim.Stats{})
		again := carryOut(t, sim.NewPlan(seed), &sim.Stats{})
		if first.Trace != again.Trace {
			t.Errorf("seed %d: got the traces %016x and %016x", seed, first.Trace, again.Trace)
		}
	}
}
