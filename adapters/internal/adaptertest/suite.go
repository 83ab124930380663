// Package adaptertest holds the project's adapters to more than package conformance, which
// is for adapters of all kinds, can ask of everybody: the wording of errors, the client's
// own error types, how fast a subscription ends. Some of it is in both, here with exact
// expectations.
package adaptertest

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// Timeout is what tests give clients for each of their own timeouts. On a machine that has
// stood still for longer a client finds its time up before it finds the answer that has come.
// The default of conformance.Options.MaxOverrun has room for it.
const Timeout = 5 * time.Second

// A Suite is the tests of one adapter.
type Suite struct {
	Configurations []Configuration
	IsReply        func(err error) bool // err is the client's type for an error reply
	IsClosed       func(err error) bool // err is the client's own error for a closed client
}

// A Configuration is one of the client's that change what the adapter sees.
type Configuration struct {
	Name string
	// Dial returns an adapter on a client of its own for the server at addr, and what
	// closes it.
	Dial func(t testing.TB, addr string) (node Node, end func())
}

// A Node is what every adapter is.
type Node interface {
	core.Scripter
	core.Subscriber
}

// Run runs the tests.
func (s Suite) Run(t *testing.T) {
	t.Run("Replies", s.replies)
	t.Run("ServerErrors", s.serverErrors)
	t.Run("EvalShaAfterEval", s.evalShaAfterEval)
	t.Run("Binary", s.binary)
	t.Run("ContextInFlight", s.contextInFlight)
	t.Run("CallAfterCut", s.callAfterCut)
	t.Run("Stale", s.stale)
	t.Run("Dies", s.dies)
	t.Run("Closed", s.closed)
	t.Run("Address", s.address)
	t.Run("Subscribe", s.subscribe)
	t.Run("SubscribeIdle", s.subscribeIdle)
	t.Run("SubscribeDeadline", s.subscribeDeadline)
	t.Run("SubscribeConnectionCut", s.subscribeConnectionCut)
	t.Run("SubscribeConnectionSilent", s.subscribeConnectionSilent)
	t.Run("SubscribeRefused", s.subscribeRefused)
}

// Server returns the address of the first server of REDLATCH_ADDRS.
func Server(t testing.TB) string {
	t.Helper()
	addr, _, _ := strings.Cut(os.Getenv("REDLATCH_ADDRS"), ",")
	if addr == "" {
		if os.Getenv("REDLATCH_REQUIRED") != "" {
			t.Fatal("REDLATCH_REQUIRED is set, but REDLATCH_ADDRS names no server")
		}
		t.Skip("REDLATCH_ADDRS names no server (host:port, separated by commas)")
	}
	return addr
}

// NewProxy returns a proxy before the server, which the end of the test closes.
func NewProxy(t *testing.T) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Start(Server(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// awaitRequest waits until the proxy has seen more requests than before, but not for long:
// a client whose own ping has met a stall keeps to itself what comes after.
func awaitRequest(t *testing.T, p *proxy.Proxy, before int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = p.Await(ctx, func(s proxy.Stats) bool { return s.Requests > before })
}

// noGoroutineLeft waits until no more goroutines run than before.
func noGoroutineLeft(t *testing.T, before int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; <-tick.C {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
