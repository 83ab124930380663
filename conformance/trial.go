package conformance

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// A suite is the cases under one name.
type suite struct {
	name     string
	allNodes bool // cases get all servers, not only the first
	checks   []check
}

// A check is one case.
type check struct {
	name    string
	rule    string // of the contract
	proxied bool   // there is a proxy before each node
	run     func(c *trial)
	closed  func(t *testing.T, c *trial) // if not nil, runs after dial's clean-ups
}

var groups = []suite{
	{name: "Scripter", checks: slices.Concat(faultChecks, contextChecks, subscribeChecks, callChecks, replyChecks, errorChecks, byteChecks)},
	{name: "Mutex", allNodes: true, checks: slices.Concat(lockFaultChecks(mutexKind), lockChecks(mutexKind))},
	{name: "RWMutex", allNodes: true, checks: slices.Concat(lockFaultChecks(writerKind), lockChecks(writerKind), readerChecks)},
	{name: "Semaphore", allNodes: true, checks: slices.Concat(lockFaultChecks(permitKind), lockChecks(permitKind), semaphoreChecks)},
}

// patience is how long a case may take beyond what its client may overrun. The
// suite's own tests lower it.
var patience = 40 * time.Second

// A trial is one run of a check. The check runs in a goroutine of its own, so that
// the watchdog can leave it, and reports through the trial.
type trial struct {
	tag     string        // random
	prefix  string        // of every key and channel of the case; has the tag as its hash tag
	overrun time.Duration // Options.MaxOverrun
	ctx     context.Context
	nodes   []node
	node    // the first

	mu       sync.Mutex
	problems []string
	skipped  string
	keys     []string // to be deleted at the end
	endings  []func() // to be run at the end, last first
}

// A node is one server of a case.
type node struct {
	s     core.Scripter // under test; through the proxy if the check is proxied
	side  core.Scripter // another client, never through the proxy, for set-up and inspection
	proxy *proxy.Proxy  // nil unless the check is proxied
}

// try runs c on the servers at addrs and reports to t.
func try(t *testing.T, c check, addrs []string, dial func(t *testing.T, addr string) core.Scripter, o Options) {
	tag := strings.ToLower(rand.Text())
	ctx, cancel := context.WithTimeout(context.Background(), patience+2*o.MaxOverrun)
	defer cancel()
	x := &trial{tag: tag, prefix: "redlatch-conformance:{" + tag + "}:", overrun: o.MaxOverrun, ctx: ctx}

	// Goroutines inherit labels, so that those that the case starts, and its clients
	// with it, can be told from those of parallel cases. Clean-ups run last first:
	// this one after those that dial registers.
	t.Cleanup(func() {
		if t.Failed() || t.Skipped() {
			return // calls that hang explain what is left
		}
		if left := goroutinesLeft(tag, leftTime()+o.MaxOverrun); left != "" {
			t.Errorf("%v after the case and its clean-ups these goroutines are left:\n%s\nrule: %s", leftTime()+o.MaxOverrun, left, leftRule)
		}
	})
	if c.closed != nil {
		t.Cleanup(func() { c.closed(t, x) })
	}
	dial = dialer(dial, tag, leftTime()+o.MaxOverrun)
	pprof.SetGoroutineLabels(label(tag))
	defer pprof.SetGoroutineLabels(context.Background())
	for _, addr := range addrs {
		n := node{side: dial(t, addr)}
		if c.proxied {
			p, err := proxy.Start(addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			p.Mark(tag)
			n.proxy, addr = p, p.Addr()
		}
		n.s = dial(t, addr)
		if n.proxy != nil {
			t.Cleanup(n.proxy.Mend) // a client may ask the server when it is closed
		}
		x.nodes = append(x.nodes, n)
	}
	x.node = x.nodes[0]

	done := make(chan struct{})
	go func() {
		defer close(done)
		defer x.finish()
		c.run(x)
		x.inspect()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		select {
		case <-done: // it noticed by itself and says more
		case <-time.After(time.Second):
			x.errorf("the case is not done after %v", patience+2*o.MaxOverrun)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, problem := range x.problems {
		t.Errorf("%s\nrule: %s", problem, c.rule)
	}
	if len(x.problems) == 0 && x.skipped != "" {
		t.Skip(x.skipped)
	}
}

// atEnd has f run when the check is done or has failed.
func (c *trial) atEnd(f func()) { c.endings = append(c.endings, f) }

func (c *trial) finish() {
	for _, f := range slices.Backward(c.endings) {
		f()
	}
}

// inspect checks what holds after every case.
func (c *trial) inspect() {
	c.sawTraffic()
	for i, n := range c.nodes {
		if len(c.keys) > 0 {
			c.on(n.side).mustEval("return {redis.call('DEL', unpack(KEYS))}", c.keys, nil)
		}
		c.keysLeft(i, n)
	}
}

// sawTraffic ends the case if a proxy of it is not on the way of its calls.
func (c *trial) sawTraffic() {
	for i, n := range c.nodes {
		if n.proxy != nil && n.proxy.Stats().Marked == 0 {
			c.fatalf("the proxy before node %d saw none of the case's calls, so that the case would prove nothing: the client found the server by itself (see Options.Discovers)", i)
		}
	}
}

// errorf reports a problem; the case goes on.
func (c *trial) errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// fatalf reports a problem and ends the case. Only the check's own goroutine may.
func (c *trial) fatalf(format string, args ...any) {
	c.errorf(format, args...)
	runtime.Goexit()
}

// skipf ends the case, which proves nothing with this adapter.
func (c *trial) skipf(format string, args ...any) {
	c.mu.Lock()
	c.skipped = fmt.Sprintf(format, args...)
	c.mu.Unlock()
	runtime.Goexit()
}

// key returns a key of the case that is deleted at its end.
func (c *trial) key(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys = append(c.keys, c.prefix+name)
	return c.prefix + name
}

// on returns a trial of the same case whose calls go to s.
func (c *trial) on(s core.Scripter) caller { return caller{c, s} }

func sha1hex(s string) string {
	sum := sha1.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
