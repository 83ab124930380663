package redlatch_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/redlatch/redlatch"

// floors are the packages of the library, from the bottom up: a package imports only what
// stands on a floor below its own.
var floors = [][]string{
	{"internal/random", "internal/keys", "internal/claim", "internal/failure", "internal/vote"},
	{"core"},
	{"internal/options", "internal/protocol"},
	{"internal/cluster"},
	{"internal/hold"},
	{"internal/line"},
	{"internal/front"},
	{"redlock", "semaphore"},
	{""},
}

// beside are packages of tests, which nothing of the library imports.
var beside = []string{"internal/leaktest", "internal/proxy", "internal/toy", "conformance", "adapters"}

func TestImportsRunDownwards(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	floor := map[string]int{}
	for i, packages := range floors {
		for _, p := range packages {
			floor[strings.TrimSuffix(module+"/"+p, "/")] = i
		}
	}
	seen, arrows := 0, 0
	for line := range strings.Lines(string(out)) {
		imports := strings.Fields(line)
		from, known := floor[imports[0]]
		if !known {
			if !slices.ContainsFunc(beside, func(p string) bool { return strings.HasPrefix(imports[0], module+"/"+p) }) {
				t.Errorf("%s has no floor", imports[0])
			}
			continue
		}
		seen++
		for _, imported := range imports[1:] {
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				continue
			}
			arrows++
			if to, ok := floor[imported]; !ok || to >= from {
				t.Errorf("%s imports %s, which does not stand below", imports[0], imported)
			}
		}
	}
	if seen != len(floor) {
		t.Errorf("%d of the %d packages were met", seen, len(floor))
	}
	t.Logf("%d packages, %d arrows, all downwards", seen, arrows)
}
