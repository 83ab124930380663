//go:build unix

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
)

// A Report is what came of a run.
type Report struct {
	Seed     uint64
	Rounds   int
	Took     time.Duration // all of it, from the first server's start to the last one's end
	Servers  []string      // kinds and versions that took part
	Adapters []string

	Faults  map[string]int       // that have happened, by what was done
	Asked   int                  // attempts to take a lock
	Grants  map[checker.Kind]int // claims
	By      map[string]int       // grants, by adapter
	Lost    int                  // claims that ended before their release
	Failed  map[string]int       // attempts, by why
	Written int                  // guarded writes accepted
	Refused int                  // stale guarded writes refused

	// Unjudged is the number of rounds whose progress was not judged, since the machine was
	// too slow for that.
	Unjudged int

	// GivenUp are the rounds that could not be made, and why. The rest does not count them.
	GivenUp []error

	// Violations are what must not have happened.
	Violations []error
}

func newReport(cfg Config) *Report {
	return &Report{
		Seed: cfg.Seed, Adapters: cfg.Adapters,
		Faults: map[string]int{}, Grants: map[checker.Kind]int{}, By: map[string]int{}, Failed: map[string]int{},
	}
}

// add adds a round that has been judged.
func (t *Report) add(r *round, took time.Duration) {
	t.Rounds++
	t.Took += took
	if r.worst > slow {
		t.Unjudged++
	}
	for _, s := range r.servers {
		if what := fmt.Sprintf("%s (%s)", s.Version(), s.Kind()); !slices.Contains(t.Servers, what) {
			t.Servers = append(t.Servers, what)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	for name, n := range r.faults {
		t.Faults[name] += n
	}
	for kind, n := range r.ledger.granted {
		t.Grants[kind] += n
	}
	for adapter, n := range r.ledger.by {
		t.By[adapter] += n
	}
	for why, n := range r.ledger.failed {
		t.Failed[why] += n
	}
	t.Asked += len(r.ledger.claims)
	t.Lost += r.ledger.lost
	t.Written += r.registers.written
	t.Refused += r.registers.refused
	t.Violations = append(t.Violations, r.violations...)
}

// Missing lists the faults that happened less often than a run with all faults of that
// length must come to: once in five minutes each, and those of several servers together once
// in twenty.
func (t *Report) Missing(lasted time.Duration) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(t.Faults)) {
		each := 5 * time.Minute
		if strings.Contains(name, together) {
			each = 20 * time.Minute
		}
		if want := int(lasted / each); t.Faults[name] < want {
			all = append(all, fmt.Sprintf("%d times %q, want %d", t.Faults[name], name, want))
		}
	}
	return all
}

// summary is one line about a round.
func (r *round) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	return fmt.Sprintf("PING in calm at most %v, %d faults, %d attempts, %d grants, %d lost, %d guarded writes, %d stale ones refused, %d violations",
		r.worst.Round(ms), sum(r.faults), len(r.ledger.claims), sum(r.ledger.granted), r.ledger.lost, r.registers.written, r.registers.refused, len(r.violations))
}

func sum[K comparable](m map[K]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// String is the report in Markdown.
func (t *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d rounds, %v\n\n", t.Seed, t.Rounds, t.Took.Round(time.Second))
	fmt.Fprintf(&b, "servers: %s\n\nworkers: %s\n\n", strings.Join(t.Servers, ", "), strings.Join(t.Adapters, ", "))
	b.WriteString("| | |\n|---|---|\n")
	row := func(what string, n int) { fmt.Fprintf(&b, "| %s | %d |\n", what, n) }
	if len(t.GivenUp) > 0 {
		row("rounds given up, because the machine failed", len(t.GivenUp))
	}
	if t.Unjudged > 0 {
		row("rounds whose progress was not judged: servers took too long for a PING", t.Unjudged)
	}
	row("attempts to take a lock", t.Asked)
	row("grants", sum(t.Grants))
	for _, kind := range slices.Sorted(maps.Keys(t.Grants)) {
		row("of these "+string(kind), t.Grants[kind])
	}
	for _, adapter := range slices.Sorted(maps.Keys(t.By)) {
		row("of these through "+adapter, t.By[adapter])
	}
	row("claims that ended before their release", t.Lost)
	for _, why := range slices.Sorted(maps.Keys(t.Failed)) {
		row("attempts without a grant: "+why, t.Failed[why])
	}
	row("guarded writes accepted", t.Written)
	row("stale guarded writes refused", t.Refused)
	row("violations", len(t.Violations))
	row("faults", sum(t.Faults))
	for _, name := range slices.Sorted(maps.Keys(t.Faults)) {
		row(name, t.Faults[name])
	}
	return b.String()
}
