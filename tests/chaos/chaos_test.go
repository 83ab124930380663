//go:build unix

package chaos_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/tests/chaos"
	"github.com/redlatch/redlatch/tests/leaks"
)

func TestMain(m *testing.M) {
	chaos.WorkIfAsked()
	os.Exit(leaks.Check(redistest.Main(m)))
}

// lasting returns the duration in the environment variable, else def.
func lasting(t *testing.T, variable string, def time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return def
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s=%s: want a duration such as 60s", variable, text)
	}
	return d
}

// needServers skips the test where there are no servers that can be broken.
func needServers(t *testing.T) {
	t.Helper()
	servers := redistest.Start(t, 1, nil)
	redistest.NeedReal(t, servers)
	redistest.NeedFaults(t, servers)
}

func run(t *testing.T, cfg chaos.Config) *chaos.Report {
	t.Helper()
	needServers(t)
	cfg.Log = t.Logf
	report, err := chaos.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	return report
}

// judged runs cfg until the progress of a round was judged, up to three times: a machine
// may be too busy for that once.
func judged(t *testing.T, cfg chaos.Config) *chaos.Report {
	t.Helper()
	for range 3 {
		report := run(t, cfg)
		for _, v := range report.Violations {
			t.Error(v)
		}
		if report.Unjudged < report.Rounds {
			return report
		}
	}
	t.Fatal("the progress of no round was judged: a PING took too long in the calm of each of three runs")
	return nil
}

func total[K comparable](m map[K]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// TestChaos breaks everything that may break for a while: REDLATCH_CHAOS_FOR, by
// default 12 s, half of it on 3 nodes and half on 5.
func TestChaos(t *testing.T) {
	d := lasting(t, "REDLATCH_CHAOS_FOR", 12*time.Second)
	report := judged(t, chaos.Config{For: d})
	inContainers := func(server string) bool { return strings.HasSuffix(server, "(containers)") }
	if os.Getenv("REDLATCH_IMAGE") == "" && slices.ContainsFunc(report.Servers, inContainers) && len(report.Servers) < 3 {
		t.Errorf("got servers of the kinds %v, want Redis 7.0, Redis 8.0 and Valkey 8.1", report.Servers)
	}
	for what, got := range map[string]int{
		"grants": total(report.Grants), "exclusive": report.Grants[checker.Exclusive],
		"shared": report.Grants[checker.Shared], "permits": report.Grants[checker.Permit],
		"guarded writes": report.Written,
	} {
		if got < 50 {
			t.Errorf("got %d %s, want at least 50", got, what)
		}
	}
	kinds := []string{"server", "link", "worker", "repl"}
	if d >= time.Minute { // less may be too little for one of each
		kinds = append(kinds, "link cut", "reply dropped")
	}
	for _, lack := range report.Missing(d) {
		t.Error("got " + lack)
	}
	for _, kind := range kinds {
		if !slices.ContainsFunc(keys(report.Faults), func(name string) bool { return strings.HasPrefix(name, kind) && report.Faults[name] > 0 }) {
			t.Errorf("got no fault of the kind %q in %v", kind, report.Faults)
		}
	}
}

// TestMixedFleet lets processes on the three clients contend for the same names on 3
// nodes, while one of them is killed and restarted every few seconds, for
// REDLATCH_FLEET_FOR, by default 12 s.
func TestMixedFleet(t *testing.T) {
	d := lasting(t, "REDLATCH_FLEET_FOR", 12*time.Second)
	adapters := []string{chaos.GoRedis, chaos.Redigo, chaos.Rueidis}
	report := judged(t, chaos.Config{
		For: d, Round: d, Nodes: []int{3}, Images: []redistest.Image{""},
		Adapters: adapters, KillWorkers: 2 * time.Second,
	})
	for _, adapter := range adapters {
		if got := report.By[adapter]; got < 50 {
			t.Errorf("got %d grants through %s, want at least 50", got, adapter)
		}
	}
	if got, want := total(report.Faults), int(d/(6*time.Second)); got < want {
		t.Errorf("got %d restarts of workers within %v, want at least %d", got, d, want)
	}
}

// TestRestartGuard kills servers that have no persistence, one at a time. Without the
// guard, one that comes back empty would grant to others what it has granted before.
func TestRestartGuard(t *testing.T) {
	t.Parallel()
	report := run(t, chaos.Config{For: 24 * time.Second, Nodes: []int{3}, Guard: 7 * time.Second})
	for _, v := range report.Violations {
		t.Error(v)
	}
	if got := total(report.Faults); got == 0 {
		t.Error("got no server killed, want at least one")
	}
	if got := total(report.Grants); got < 50 {
		t.Errorf("got %d grants, want at least 50", got)
	}
}

// TestLostDataIsSeen shows that the judge sees what locks do whose servers forget.
func TestLostDataIsSeen(t *testing.T) {
	t.Parallel()
	var seen []string
	for range 3 { // a machine that is slow may do too little in one
		report := run(t, chaos.Config{For: 5 * time.Second, Nodes: []int{3}, Forget: true})
		rules := map[string]bool{}
		for _, v := range report.Violations {
			note(rules, v)
		}
		if rules[checker.RuleExclusion] {
			return
		}
		seen = append(seen, fmt.Sprintf("%v of %d emptyings", keys(rules), total(report.Faults)))
	}
	t.Errorf("got violations %v, want one of %s in one of them", seen, checker.RuleExclusion)
}

// note collects the rules of the violations within err.
func note(rules map[string]bool, err error) {
	var v *checker.Violation
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			note(rules, e)
		}
	} else if errors.As(err, &v) {
		rules[v.Rule] = true
	}
}

func keys[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
