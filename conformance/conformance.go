package conformance

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// The environment variables that [Addrs] reads.
const (
	addrsVariable    = "REDLATCH_ADDRS"
	requiredVariable = "REDLATCH_REQUIRED"
)

// Options says what the suite is to know about an adapter. Nil and the zero value
// suit a client that talks to the one server that it is given.
type Options struct {
	// Discovers, if not empty, says why the client finds its servers by itself and
	// does not stay with the address that dial was given, such as "a cluster client
	// follows the slot map". The addresses are then seeds of one deployment, dial is
	// given the first one, and the cases that need the proxy are skipped with this
	// reason. Default: empty, addresses are independent servers.
	Discovers string

	// MaxOverrun is how long after the end of its context a call may come back. It is
	// the longest of the client's own timeouts and a margin. Default: 10 s.
	MaxOverrun time.Duration

	// Waive maps names of cases that the adapter does not meet, such as
	// "Scripter/Deadline", to the reason, which the skip shows. A name that the suite
	// does not have, or an empty reason, is fatal. Default: none.
	Waive map[string]string
}

// Run tests the Scripters that dial returns. It returns when all cases are done.
//
// addrs are the host:port of independent servers (but see [Options].Discovers): the
// cases under Scripter use the first, those of the locks all of them. The servers
// may be in use by others.
//
// dial returns a Scripter whose client talks to the one server at addr, which may
// be a proxy. It is called several times in each case, from parallel tests; it
// makes a client of its own each time and registers with t.Cleanup what closes it.
func Run(t *testing.T, addrs []string, dial func(t *testing.T, addr string) core.Scripter, opts *Options) {
	t.Helper()
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.MaxOverrun < 0 {
		t.Fatalf("conformance: Options.MaxOverrun is %v, want at least 0", o.MaxOverrun)
	}
	if o.MaxOverrun == 0 {
		o.MaxOverrun = 10 * time.Second
	}
	if len(addrs) == 0 {
		t.Fatal("conformance: no addresses")
	}
	if o.Discovers != "" {
		addrs = addrs[:1]
	} else {
		reach(t, addrs)
	}
	if err := checkWaived(o.Waive); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.checks {
				t.Run(c.name, func(t *testing.T) {
					if reason, ok := o.Waive[g.name+"/"+c.name]; ok {
						t.Skipf("waived: %s", reason)
					}
					if c.proxied && o.Discovers != "" {
						t.Skipf("needs a proxy before the server, but the client finds servers by itself: %s", o.Discovers)
					}
					t.Parallel()
					nodes := addrs[:1]
					if g.allNodes {
						nodes = addrs
					}
					try(t, c, nodes, dial, o)
				})
			}
		})
	}
}

// Addrs returns the addresses of the servers to test on, from the environment
// variable REDLATCH_ADDRS: host:port, separated by commas. If it is not set, the
// test is skipped, or fails if REDLATCH_REQUIRED is set.
func Addrs(t *testing.T) []string {
	t.Helper()
	var addrs []string
	for addr := range strings.SplitSeq(os.Getenv(addrsVariable), ",") {
		if addr = strings.TrimSpace(addr); addr != "" {
			addrs = append(addrs, addr)
		}
	}
	switch {
	case len(addrs) > 0:
		return addrs
	case os.Getenv(requiredVariable) != "":
		t.Fatalf("%s is not set and %s is: the test needs the addresses of Redis servers, host:port,host:port", addrsVariable, requiredVariable)
	default:
		t.Skipf("%s is not set: the test needs the addresses of Redis servers, host:port,host:port", addrsVariable)
	}
	return nil
}

// reach ends the test where a server does not accept, since every case would say
// so in its own way.
func reach(t *testing.T, addrs []string) {
	t.Helper()
	for i, addr := range addrs {
		if slices.Contains(addrs[:i], addr) {
			t.Fatalf("conformance: %s is given twice; addresses are independent servers", addr)
		}
		c, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err != nil {
			t.Fatalf("conformance: no server at %s: %v", addr, err)
		}
		c.Close()
	}
}

func checkWaived(waive map[string]string) error {
	for name, reason := range waive {
		inGroup, called, _ := strings.Cut(name, "/")
		known := slices.ContainsFunc(groups, func(g suite) bool {
			return g.name == inGroup && slices.ContainsFunc(g.checks, func(c check) bool { return c.name == called })
		})
		if !known {
			return fmt.Errorf("conformance: Options.Waive names %q, which is not a case", name)
		}
		if reason == "" {
			return fmt.Errorf("conformance: Options.Waive gives no reason for %q", name)
		}
	}
	return nil
}
