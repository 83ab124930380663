package conformance_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance"
	"github.com/redlatch/redlatch/conformance/internal/resp"
	"github.com/redlatch/redlatch/core"
)

// brokenVariable names, for a child process, the breakage that it is to run.
const brokenVariable = "REDLATCH_BROKEN"

// TestBroken runs the suite against Scripters that are each broken in one way, and
// expects the case made for it to fail. The suite reports to a *testing.T that
// would fail with it, so each runs in a process of its own.
func TestBroken(t *testing.T) {
	conformance.Addrs(t)
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			out, ok := child(t, "TestBrokenChild/"+b.caughtBy, brokenVariable+"="+b.name)
			if ok || !strings.Contains(out, "--- FAIL: TestBrokenChild/"+b.caughtBy+" ") {
				t.Errorf("%s: got a pass, want %s to fail\n%s", b.how, b.caughtBy, out)
			}
			if !regexp.MustCompile(b.says).MatchString(out) {
				t.Errorf("%s: the failure does not say %q\n%s", b.how, b.says, out)
			}
			if !strings.Contains(out, "rule: ") {
				t.Errorf("%s: the failure names no rule\n%s", b.how, out)
			}
		})
	}
}

func TestBrokenChild(t *testing.T) {
	name := os.Getenv(brokenVariable)
	if name == "" {
		t.Skipf("%s is not set: this is the process that TestBroken starts", brokenVariable)
	}
	for _, b := range broken {
		if b.name == name {
			// Calls have 4 s: a machine that stands still for less does not change what fails.
			conformance.SetPatience(16 * time.Second)
			conformance.Run(t, conformance.Addrs(t), func(t *testing.T, addr string) core.Scripter {
				return b.wrap(t, addr, resp.New(addr))
			}, &conformance.Options{MaxOverrun: 3 * time.Second})
			return
		}
	}
	t.Fatalf("no breakage is called %q", name)
}
