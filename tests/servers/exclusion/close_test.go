package exclusion_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
)

// A process that releases, closes the provider and ends must leave nothing behind on a
// node whose answer to Lock had not come yet.
func TestCloseWaitsForStragglers(t *testing.T) {
	t.Parallel()
	f := start(t, 3, nil)
	ps, addrs := f.proxies(t)
	for i := range 20 {
		p, err := redlatch.New(&patient, connect(t, addrs...)...)
		if err != nil {
			t.Fatal(err)
		}
		ps[2].Delay(time.Duration(i) * time.Millisecond)
		asked := ps[2].Stats().Requests
		release(t, lock(t, mutex(t, p, "straggler")))
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if ps[2].Stats().Requests == asked {
			t.Error("the slow node was not asked")
		}
		if n := f.holding(t, "straggler"); n != 0 {
			t.Fatalf("%d nodes have the hold after Close, with a node that is %d ms slow", n, i)
		}
	}
}

// 26: a held lease costs a goroutine while nothing happens. Not in parallel: the
// goroutines of all tests are counted.
func TestPeer26IdleLeases(t *testing.T) {
	f := start(t, 3, nil)
	p := f.process(t, nil)
	lease := lock(t, mutex(t, p, "idle first"))
	before := runtime.NumGoroutine()
	const many = 300
	leases := []*core.Lease{lease}
	for i := range many {
		leases = append(leases, lock(t, mutex(t, p, fmt.Sprintf("idle %d", i))))
	}
	eventually(t, soon, "idle leases cost no goroutines", func() bool { return runtime.NumGoroutine() < before+many/10 })
	for _, l := range leases {
		if l.Context().Err() != nil {
			t.Errorf("a lease ended: %v", context.Cause(l.Context()))
		}
		release(t, l)
	}
}
