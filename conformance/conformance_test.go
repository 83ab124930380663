package conformance_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance"
	"github.com/redlatch/redlatch/conformance/internal/resp"
	"github.com/redlatch/redlatch/core"
)

func dialResp(t *testing.T, addr string) core.Scripter { return resp.New(addr) }

// dialReluctant dials a client whose calls share a connection: one whose context has ended
// comes back after some others, which fail with it, or after a second if none are made.
// That is allowed.
func dialReluctant(_ *testing.T, addr string) core.Scripter {
	var ending atomic.Int32
	failed := make(chan struct{}) // a call that has failed
	return around{resp.New(addr), func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
		if ending.Load() > 0 {
			select {
			case failed <- struct{}{}:
			default:
			}
			return nil, context.DeadlineExceeded
		}
		values, err := next(ctx, script, keys, args)
		if ctx.Err() != nil {
			ending.Add(1)
			defer ending.Add(-1)
			none := time.After(time.Second)
			for range 4 {
				select {
				case <-failed:
				case <-none:
					return values, err
				}
			}
		}
		return values, err
	}}
}

// dialShy dials a client that asks a question of its own before each call, as one does that
// pings its server on the connection that the calls share: where that question has no answer
// the call is not sent. That is allowed.
func dialShy(_ *testing.T, addr string) core.Scripter {
	own := resp.New(addr)
	return around{own, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
		if _, err := own.Eval(ctx, "return {1}", nil, nil); err != nil {
			return nil, err
		}
		return next(ctx, script, keys, args)
	}}
}

// dialFar dials clients to which the answers of all servers but the last take 60 ms: there
// a script has run long before its caller knows. What the suite itself asks takes no time.
func dialFar(t *testing.T, addr string) core.Scripter {
	if all := conformance.Addrs(t); addr == all[len(all)-1] {
		return resp.New(addr)
	}
	return far{resp.New(addr)}
}

type far struct{ *resp.Scripter }

func (f far) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	values, err := f.Scripter.EvalSha(ctx, sha1, keys, args)
	time.Sleep(60 * time.Millisecond)
	return values, err
}

// usages are ways to call Run, each seen in a child process, since most fail.
var usages = []struct {
	name  string
	addrs func(own []string) []string
	dial  func(t *testing.T, addr string) core.Scripter // default: dialResp
	opts  *conformance.Options
	cases string // run only these
	fails bool
	says  string
}{
	{name: "no-addresses", addrs: func([]string) []string { return nil }, fails: true, says: `no addresses`},
	{name: "address-twice", addrs: func(own []string) []string { return []string{own[0], own[0]} }, fails: true, says: `is given twice`},
	{name: "no-server", addrs: func([]string) []string { return []string{"127.0.0.1:1"} }, fails: true, says: `no server at 127.0.0.1:1`},
	{name: "negative-overrun", opts: &conformance.Options{MaxOverrun: -1}, fails: true, says: `Options.MaxOverrun is -1ns, want at least 0`},
	{name: "unknown-waived", opts: &conformance.Options{Waive: map[string]string{"Scripter/Integer": "no"}}, fails: true, says: `names "Scripter/Integer", which is not a case`},
	{name: "group-waived", opts: &conformance.Options{Waive: map[string]string{"Scripter": "no"}}, fails: true, says: `names "Scripter", which is not a case`},
	{name: "waived-without-reason", opts: &conformance.Options{Waive: map[string]string{"Scripter/Integers": ""}}, fails: true, says: `gives no reason for "Scripter/Integers"`},
	{name: "waived", opts: &conformance.Options{Waive: map[string]string{"Scripter/Integers": "has none"}}, cases: "Scripter/Integers", says: `waived: has none(.|\n)*--- SKIP: TestUsageChild/Scripter/Integers`},
	{name: "discovers", opts: &conformance.Options{Discovers: "it has a map"}, cases: "Scripter/Deadline", says: `needs a proxy.*: it has a map(.|\n)*--- SKIP: TestUsageChild/Scripter/Deadline`},
	{name: "discovers-others", opts: &conformance.Options{Discovers: "it has a map"}, cases: "Scripter/Once", says: `--- PASS: TestUsageChild/Scripter/Once`},
	{name: "reluctant", dial: dialReluctant, cases: "Scripter/LateReply", says: `--- PASS: TestUsageChild/Scripter/LateReply`},
	{name: "far", dial: dialFar, cases: "Mutex/WaitCancel", says: `--- PASS: TestUsageChild/Mutex/WaitCancel`},
	{name: "shy", dial: dialShy, cases: "Semaphore/CancelInFlight", says: `--- PASS: TestUsageChild/Semaphore/CancelInFlight`},
}

const usageVariable = "REDLATCH_USAGE"

// child runs one test of this binary with more environment, and returns its output
// and whether it passed.
func child(t *testing.T, test string, env ...string) (string, bool) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.timeout=60s", "-test.run=^"+strings.ReplaceAll(test, "/", "$/^")+"$")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func TestUsage(t *testing.T) {
	conformance.Addrs(t)
	for _, u := range usages {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			test := "TestUsageChild"
			if u.cases != "" {
				test += "/" + u.cases
			}
			out, ok := child(t, test, usageVariable+"="+u.name)
			if ok == u.fails || !regexp.MustCompile(u.says).MatchString(out) {
				t.Errorf("got ok = %v, want %v and %q\n%s", ok, !u.fails, u.says, out)
			}
		})
	}
}

func TestUsageChild(t *testing.T) {
	name := os.Getenv(usageVariable)
	if name == "" {
		t.Skipf("%s is not set: this is the process that TestUsage starts", usageVariable)
	}
	for _, u := range usages {
		if u.name == name {
			addrs := conformance.Addrs(t)
			if u.addrs != nil {
				addrs = u.addrs(addrs)
			}
			dial := dialResp
			if u.dial != nil {
				dial = u.dial
			}
			conformance.Run(t, addrs, dial, u.opts)
			return
		}
	}
	t.Fatalf("no usage is called %q", name)
}

func TestAddrs(t *testing.T) {
	tests := []struct {
		name, addrs, required string
		want                  string
	}{
		{"set", " 127.0.0.1:1, 127.0.0.1:2,", "1", `got \["127.0.0.1:1" "127.0.0.1:2"\](.|\n)*--- PASS`},
		{"unset", "", "", `REDLATCH_ADDRS is not set(.|\n)*--- SKIP`},
		{"required", "", "1", `REDLATCH_ADDRS is not set and REDLATCH_REQUIRED is(.|\n)*--- FAIL`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := child(t, "TestAddrsChild", "REDLATCH_USAGE=addrs", "REDLATCH_ADDRS="+tt.addrs, "REDLATCH_REQUIRED="+tt.required)
			if !regexp.MustCompile(tt.want).MatchString(out) {
				t.Errorf("got\n%s\nwant %q", out, tt.want)
			}
		})
	}
}

func TestAddrsChild(t *testing.T) {
	if os.Getenv(usageVariable) != "addrs" {
		t.Skipf("%s is not set: this is the process that TestAddrs starts", usageVariable)
	}
	t.Logf("got %q", conformance.Addrs(t))
}

// TestNames holds the names, which users' Waive and CI name, to the list in the
// documentation.
func TestNames(t *testing.T) {
	doc, err := os.ReadFile("../docs/adapters.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+/[A-Za-z]+)` \\|").FindAllStringSubmatch(string(doc), -1) {
		listed = append(listed, m[1])
	}
	names := conformance.Names()
	for _, name := range names {
		if n := count(names, name); n != 1 {
			t.Errorf("%d cases are called %s, want 1", n, name)
		}
		if n := count(listed, name); n != 1 {
			t.Errorf("docs/adapters.md lists %s %d times, want 1", name, n)
		}
	}
	for _, name := range listed {
		if !slices.Contains(names, name) {
			t.Errorf("docs/adapters.md lists %s, which is not a case", name)
		}
	}
}

func count(list []string, s string) (n int) {
	for _, e := range list {
		if e == s {
			n++
		}
	}
	return n
}

// TestRespSize keeps the example an example.
func TestRespSize(t *testing.T) {
	source, err := os.ReadFile("internal/resp/resp.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n"); n >= 150 {
		t.Errorf("the example has %d lines, want under 150", n)
	}
}

// TestDocument holds the code in the documentation to the code that is run.
func TestDocument(t *testing.T) {
	var code string
	for _, name := range []string{"internal/resp/resp.go", "internal/resp/conformance_test.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code += string(source)
	}
	doc, err := os.ReadFile("../docs/adapters.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) == 0 {
		t.Error("docs/adapters.md has no code")
	}
	for _, b := range blocks {
		if !strings.Contains(code, b[1]) {
			t.Errorf("docs/adapters.md has code that the example does not have:\n%s", b[1])
		}
	}
}
