package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whoever changes a line that a mutant breaks finds out with the other tests.
func TestMutantsApply(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range mutants {
		if seen[m.name] || m.name == "" || m.rule == "" {
			t.Errorf("%q: a name that is there twice, or none, or no rule", m.name)
		}
		seen[m.name] = true
		if _, err := m.overlay(root, t.TempDir()); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		for _, e := range append([]edit{m.edit}, m.more...) {
			if e.old == e.new {
				t.Errorf("%s: nothing is changed in %s", m.name, e.file)
			}
		}
	}
	if len(seen) < 25 {
		t.Errorf("%d mutants, want at least 25", len(seen))
	}
}
