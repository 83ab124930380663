// Package leaktest ends the run of a test package with a look at the goroutines that are
// left. It is for the modules whose dependencies are kept to a minimum.
package leaktest

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// patience is more than a client's own timeouts, with which calls that were given up end.
const patience = 10 * time.Second

// standard are goroutines that the standard library never ends.
var standard = []string{"os/signal.signal_recv", "runtime.ensureSigM"}

// Check returns code, the exit code of the tests; if that is 0 and a goroutine is left
// after a while, it says which and returns 1. For TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(leaktest.Check(m.Run())) }
func Check(code int) int { return check(code, patience, os.Stderr) }

func check(code int, limit time.Duration, out io.Writer) int {
	if code != 0 {
		return code
	}
	stacks := left()
	for end := time.Now().Add(limit); len(stacks) > 0 && time.Now().Before(end); stacks = left() {
		time.Sleep(10 * time.Millisecond)
	}
	if len(stacks) == 0 {
		return 0
	}
	fmt.Fprintf(out, "leaktest: %d goroutines are left %v after the tests:\n%s\n", len(stacks), limit, strings.Join(stacks, "\n\n"))
	return 1
}

// left returns the stacks of the goroutines beside the caller's.
func left() []string {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	for n == len(buf) { // there may be more
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	_, others, _ := strings.Cut(strings.TrimSpace(string(buf[:n])), "\n\n")
	var stacks []string
	for stack := range strings.SplitSeq(others, "\n\n") {
		if stack != "" && !isStandard(stack) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

func isStandard(stack string) bool {
	for _, name := range standard {
		if strings.Contains(stack, name) {
			return true
		}
	}
	return false
}
