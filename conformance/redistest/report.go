package redistest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A tally is what test binaries have used and left out.
type tally struct {
	mu   sync.Mutex
	used map[string]int      // servers by kind and version
	left map[string][]string // cases by reason
}

var tallied tally

// used counts a group of servers that a test has started.
func used(g *Group) {
	for _, s := range g.servers {
		record(fmt.Sprintf("used\t%s\t%s", s.kind, s.version))
	}
}

// leftOut counts what a test did not do, and why.
func leftOut(test, reason string) {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".test") + "." + test
	record("left\t" + name + "\t" + strings.Join(strings.Fields(reason), " "))
}

// record adds a line to this process's tally and to the file REDLATCH_REPORT.
func record(line string) {
	tallied.add(line)
	path := os.Getenv("REDLATCH_REPORT")
	if path == "" {
		return
	}
	// One write of a short line to a file opened so does not mix with others'.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = io.WriteString(f, line+"\n")
		f.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "redistest: REDLATCH_REPORT:", err)
	}
}

func (t *tally) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used == nil {
		t.used = make(map[string]int)
		t.left = make(map[string][]string)
	}
	what, rest, _ := strings.Cut(line, "\t")
	first, second, _ := strings.Cut(rest, "\t")
	switch what {
	case "used":
		t.used[first+" ("+second+")"]++
	case "left":
		if !slices.Contains(t.left[second], first) {
			t.left[second] = append(t.left[second], first)
		}
	}
}

// String is the closing line; and below it, a line for each reason to leave
// something out.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var kinds []string
	for kind, n := range t.used {
		kinds = append(kinds, fmt.Sprintf("%d x %s", n, kind))
	}
	slices.Sort(kinds)
	if len(kinds) == 0 {
		kinds = []string{"none"}
	}
	cases := 0
	var reasons []string
	for reason, tests := range t.left {
		cases += len(tests)
		slices.Sort(tests)
		reasons = append(reasons, fmt.Sprintf("\nredistest:   %s: %s", reason, strings.Join(tests, ", ")))
	}
	slices.Sort(reasons)
	text := "redistest: servers started: " + strings.Join(kinds, ", ") + "; "
	if cases == 0 {
		return text + "nothing left out"
	}
	return text + fmt.Sprintf("left out %d:", cases) + strings.Join(reasons, "")
}

// Main runs a package's tests and prints the closing line: which servers they
// used, which cases were left out and why. For TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }
//
// go test hides what a passing package prints, unless it has -v; the command
// redistest prints the sum over all packages.
func Main(m *testing.M) int {
	code := m.Run()
	fmt.Fprintln(os.Stderr, tallied.String())
	return code
}

// Summary reads a file that REDLATCH_REPORT named and returns the closing line
// for everything in it; "" if there is no such file or nothing in it.
//
// Whoever does without this package may append to the file, too: a line for each
// server used, "used", its kind and its version, and one for each case left out,
// "left", its name and the reason, separated by tabs.
func Summary(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	if len(data) == 0 {
		return "", nil
	}
	var t tally
	for line := range strings.Lines(string(data)) {
		t.add(strings.TrimSuffix(line, "\n"))
	}
	return t.String(), nil
}
