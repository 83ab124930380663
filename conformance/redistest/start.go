package redistest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Start starts n servers for a test and stops them when it ends. It logs which
// kind it used. If servers are there but cannot be what cfg asks for, the test is
// skipped, and counted; any other failure is fatal.
//
// Servers at given addresses are shared by everybody who asks for them, and they
// are not emptied: a test uses keys of its own.
func Start(tb testing.TB, n int, cfg *Config) []*Server {
	tb.Helper()
	g, err := Open(tb.Context(), n, cfg)
	return hold(tb, g, err).servers
}

// StartCluster starts a Redis Cluster of three primaries, ready to serve all
// slots, which announces loopback addresses. It is [Start] otherwise.
func StartCluster(tb testing.TB, cfg *Config) []*Server {
	tb.Helper()
	g, err := OpenCluster(tb.Context(), cfg)
	return hold(tb, g, err).servers
}

// StartSentinel starts a primary, two replicas and the three sentinels that
// watch them, ready for a failover. It is [Start] otherwise.
func StartSentinel(tb testing.TB, cfg *Config) *Sentinel {
	tb.Helper()
	s, err := OpenSentinel(tb.Context(), cfg)
	if err != nil {
		hold(tb, nil, err)
	}
	hold(tb, s.data, nil)
	hold(tb, s.sentinels, nil)
	return s
}

// hold gives a group to a test, or ends the test.
func hold(tb testing.TB, g *Group, err error) *Group {
	tb.Helper()
	if errors.Is(err, ErrUnsupported) {
		LeaveOut(tb, "%v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := g.Close(); err != nil {
			tb.Error(err)
		}
	})
	used(g)
	tb.Logf("redistest: %v", g)
	return g
}

// Do runs one of a server's faults for a test and ends the test if that fails:
//
//	redistest.Do(t, server.Kill)
//
// It may be used in a Cleanup, too.
func Do(tb testing.TB, fault func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
	defer cancel()
	if err := fault(ctx); err != nil {
		tb.Fatal(err)
	}
}

// NeedFaults skips the test, and counts it, if a server cannot be paused, killed
// and restarted.
func NeedFaults(tb testing.TB, servers []*Server) {
	tb.Helper()
	for _, s := range servers {
		if !s.CanFault() {
			LeaveOut(tb, "needs faults, which %s servers do not allow", s.kind)
		}
	}
}

// NeedReal skips the test, and counts it, if a server is miniredis.
func NeedReal(tb testing.TB, servers []*Server) {
	tb.Helper()
	for _, s := range servers {
		if !s.Real() {
			LeaveOut(tb, "needs a real server, not miniredis")
		}
	}
}

// LeaveOut skips the test and counts it in the closing line.
func LeaveOut(tb testing.TB, format string, args ...any) {
	tb.Helper()
	reason := fmt.Sprintf(format, args...)
	leftOut(tb.Name(), reason)
	tb.Skip(reason)
}
