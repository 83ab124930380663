package sim_test

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/tests/sim"
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
		if name := os.Getenv("REDLATCH_SIM_EVENTS"); name != "" {
			f, err := os.Create(fmt.Sprintf("%s-%d-%t", name, plan.Seed, plan.Shuffle))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			events := bufio.NewWriter(f)
			defer events.Flush()
			plan.Events = events
		}
		if res, err = sim.Run(plan, stats); err != nil {
			t.Fatal(err)
		}
		total.Add(stats)
		t.Logf("%v, %d stale writes refused, trace %016x", stats, res.Refused, res.Trace)
	})
	return res
}

// floors are what runs must come to in sum, so that one that does too little fails.
type floors struct {
	virtual                                  time.Duration
	scripts, grants, refusals, faults, kinds int64 // kinds: of each kind of fault
}

var (
	// slice is for a run of a few seconds, on a slow machine, with the race detector.
	slice = floors{virtual: 10 * time.Minute, scripts: 2000, grants: 100, refusals: 1, faults: 50}
	// full is for one on its own: see scripts/sim.sh.
	full = floors{virtual: 100 * time.Hour, scripts: 1e6, grants: 50e3, refusals: 1000, faults: 20e3, kinds: 10}
)

// missing lists what total lacks.
func (f floors) missing(total *sim.Stats) (all []string) {
	need := func(what string, got, want int64) {
		if got < want {
			all = append(all, fmt.Sprintf("%d %s, want %d", got, what, want))
		}
	}
	need("virtual minutes", int64(total.Virtual.Load()/int64(time.Minute)), int64(f.virtual/time.Minute))
	need("scripts", total.Scripts.Load(), f.scripts)
	need("grants", total.Grants.Load(), f.grants)
	need("refusals", total.Refusals.Load(), f.refusals)
	need("faults", total.AllFaults(), f.faults)
	for fault := range sim.NumFaults {
		need(fmt.Sprintf("times %q", fault), total.Faults(fault), f.kinds)
	}
	need("functions called by Do", total.Dos.Load(), f.kinds)
	need("waits ended by Within", total.Withins.Load(), f.kinds)
	need("answers of Available", total.Counted.Load(), f.kinds)
	return all
}

// TestSimulation goes through seeds, one run each, from REDLATCH_SIM_SEED
// (default 1) for REDLATCH_SIM_TIME of real time (default 20s), and on until it has
// come to its floors: those of a slice, or, with REDLATCH_SIM_LIMIT, the full ones, which
// it must reach in that time. Or it makes exactly REDLATCH_SIM_RUNS runs, without floors:
// to replay a run, give its seed and REDLATCH_SIM_RUNS=1.
func TestSimulation(t *testing.T) {
	alone(t)
	first := setting(t, "REDLATCH_SIM_SEED", 1, number)
	lasts := setting(t, "REDLATCH_SIM_TIME", 20*time.Second, time.ParseDuration)
	limit := setting(t, "REDLATCH_SIM_LIMIT", 0, time.ParseDuration)
	runs := setting(t, "REDLATCH_SIM_RUNS", 0, number)
	want := slice
	if limit > 0 {
		want = full
	} else {
		limit = 10 * time.Minute
	}
	limit = max(limit, lasts)

	total, start, refused, seed := &sim.Stats{}, time.Now(), int64(0), first
	goOn := func() bool {
		if runs > 0 {
			return seed < first+runs
		}
		took := time.Since(start)
		return took < lasts || took < limit && len(want.missing(total)) > 0
	}
	for ; goOn(); seed++ {
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
	// Not by t.Log: this is to be seen in every log, with and without -v.
	fmt.Printf("simulated seeds %d to %d: %v, %d stale writes refused; %v of real time, %.0f scripts/s\n%s", first, seed-1, total, refused,
		took.Round(time.Second), float64(total.Scripts.Load())/took.Seconds(), total.FaultTable())
	if runs > 0 {
		return
	}
	if lacks := want.missing(total); len(lacks) > 0 {
		t.Errorf("too little was simulated in %v:\n%s", took.Round(time.Second), strings.Join(lacks, "\n"))
	}
	if want == full && refused == 0 {
		t.Error("the guard of no register has refused a stale write")
	}
}

// TestCalm makes sure that a wait that begins in the calm can last too long before the
// calm is over.
func TestCalm(t *testing.T) {
	for seed := range uint64(1000) {
		if p := sim.NewPlan(seed); p.Calm < p.MaxWait()+10*time.Second {
			t.Errorf("seed %d: got a calm of %v, waits may take %v", seed, p.Calm, p.MaxWait())
		}
	}
}
