package sim_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/tests/sim"
)

// TestBrokenAssumptions breaks the assumptions behind the guarantees, one at a
// time, and finds out which guarantees fall with each, and which stand.
func TestBrokenAssumptions(t *testing.T) {
	alone(t)
	const seeds = 12
	const update, stale = "lost update", "stale write"
	tests := []struct {
		broken sim.Assumption
		falls  []string // seen in at least one run
		stands []string // seen in none
	}{
		{sim.None, nil, []string{checker.RuleExclusion, checker.RuleCapacity, checker.RuleUnique, checker.RuleOrder, update, stale}},
		{sim.ReturnAtOnce, []string{checker.RuleExclusion}, nil},
		// Where two hold at once, the one with the lower token may be the second to learn
		// that it does: the order of tokens is not asserted.
		{sim.ClockForward, []string{checker.RuleExclusion, checker.RuleCapacity}, []string{checker.RuleUnique, stale}},
		{sim.ClockTooFast, []string{checker.RuleExclusion, checker.RuleCapacity}, []string{checker.RuleUnique, stale}},
		{sim.ClockFarBack, []string{checker.RuleOrder}, []string{checker.RuleExclusion, checker.RuleCapacity, update}},
		{sim.HoldsVanish, []string{checker.RuleExclusion, checker.RuleCapacity}, []string{checker.RuleUnique, stale}},
		{sim.SlotsVanish, []string{checker.RuleSlot}, []string{checker.RuleExclusion, checker.RuleCapacity, checker.RuleUnique, checker.RuleOrder, update, stale}},
	}
	for _, tt := range tests {
		t.Run(tt.broken.String(), func(t *testing.T) {
			seen := map[string]int{}
			total := &sim.Stats{}
			for seed := range uint64(seeds) {
				res := carryOut(t, sim.NewBrokenPlan(seed, tt.broken), total)
				for _, rule := range breaches(res.Err) {
					seen[rule]++
				}
			}
			for _, rule := range tt.falls {
				if seen[rule] == 0 {
					t.Errorf("got no breach of %s in %d runs, want it to fall", rule, seeds)
				}
			}
			for _, rule := range tt.stands {
				if seen[rule] > 0 {
					t.Errorf("got %s broken in %d of %d runs, want it to stand", rule, seen[rule], seeds)
				}
			}
			var table []string
			for rule, n := range seen {
				table = append(table, fmt.Sprintf("%s in %d", rule, n))
			}
			slices.Sort(table)
			t.Logf("%v: of %d runs (%v) broken: %s", tt.broken, seeds, total, strings.Join(table, ", "))
		})
	}
}

// TestRestartGuard lets nodes lose their data and come back at once, as above,
// and clients die holding locks; with the guard nothing breaks.
func TestRestartGuard(t *testing.T) {
	alone(t)
	total := &sim.Stats{}
	for seed := range uint64(12) {
		plan := sim.NewBrokenPlan(seed, sim.ReturnAtOnce)
		plan.Broken, plan.Guard, plan.Every = sim.None, 7*time.Second, 4*time.Second
		plan.Weather = append(plan.Weather, sim.ClientKilled)
		plan.Expiry = 7 * time.Second
		res := carryOut(t, plan, total)
		if res.Err != nil {
			t.Errorf("seed %d: %v", seed, res.Err)
		}
	}
	if total.Grants.Load() < 500 || total.Faults(sim.NodeLostAll) < 50 {
		t.Errorf("got %v, want hundreds of grants and dozens of restarts", total)
	}
	t.Logf("%v, %d restarts without data, %d without the last second", total, total.Faults(sim.NodeLostAll), total.Faults(sim.NodeLostLast))
}

// breaches lists what a run broke, each once.
func breaches(err error) []string {
	var rules []string
	var walk func(error)
	walk = func(err error) {
		var v *checker.Violation
		switch joined, ok := err.(interface{ Unwrap() []error }); {
		case err == nil:
		case ok:
			for _, e := range joined.Unwrap() {
				walk(e)
			}
		case errors.As(err, &v):
			rules = append(rules, v.Rule)
		case errors.Is(err, sim.ErrLostUpdate):
			rules = append(rules, "lost update")
		case errors.Is(err, sim.ErrStaleWrite):
			rules = append(rules, "stale write")
		default:
			rules = append(rules, err.Error())
		}
	}
	walk(err)
	slices.Sort(rules)
	return slices.Compact(rules)
}
