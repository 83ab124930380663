package locks_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// testStaysHeld holds a lease for three times its expiry.
func testStaysHeld(t *testing.T, s *subject) {
	name := s.named("stays held")
	s.prepare(t, name)
	lease := lock(t, s.elsewhere(t, name, brief))
	until := lease.ValidUntil()
	if left := time.Until(until); left > brief.Expiry {
		t.Errorf("the lease is valid for %v at first, want at most %v", left, brief.Expiry)
	}
	for i := range 6 {
		select {
		case <-time.After(brief.Expiry / 2):
		case <-lease.Context().Done():
			t.Fatalf("the lease ended: %v", context.Cause(lease.Context()))
		}
		if i%2 == 1 {
			if !moved(lease, until) {
				t.Errorf("ValidUntil did not move within an expiry: %v, then %v", until, lease.ValidUntil())
			}
			until = lease.ValidUntil()
		}
		s.stillHeld(t, name)
	}
	release(t, lease)
	if done(lease.Lost()) {
		t.Error("Lost is closed")
	}
}

// moved reports whether the lease's deadline is later than it was: by more than the time
// between the readings of two clocks.
func moved(lease *core.Lease, was time.Time) bool {
	return lease.ValidUntil().Sub(was) > time.Millisecond
}

// testKeysDeleted takes the hold away on a majority, between two rounds of extension.
func testKeysDeleted(t *testing.T, s *subject) {
	name := s.named("keys deleted")
	opts := core.Options{Expiry: 30 * time.Second, MinValidity: 5 * time.Second, ExtensionCadence: 500 * time.Millisecond}
	s.prepare(t, name)
	spies, scripters := s.spies(t)
	l := s.locker(t, provider(t, scripters, s.options(opts)), name)
	lease := lock(t, l)
	eventually(t, 20*time.Second, "all live nodes have the hold", func() bool {
		return s.holding(t, s.holdKey(name)) == len(s.raw)
	})
	var lets []func()
	asked := make([]int, len(spies))
	for i, spy := range spies {
		asked[i], _, _ = spy.of("extend")
		lets = append(lets, spy.hold("extend"))
		defer lets[i]()
	}
	// One that was on its way might see the hold gone on one node, and put it back.
	for i, spy := range spies {
		if s.cluster || slices.Contains(s.live, s.servers[i]) {
			spy.await(t, "extend", "asked", asked[i])
		}
	}
	deleted := int64(0)
	for _, c := range s.raw[:s.quorum()] {
		n, err := c.Del(t.Context(), s.holdKey(name)).Result()
		if err != nil {
			t.Fatal(err)
		}
		deleted += n
	}
	if deleted != int64(s.quorum()) {
		t.Fatalf("%d holds were deleted, want %d", deleted, s.quorum())
	}
	began := time.Now()
	for _, let := range lets {
		let()
	}
	select {
	case <-lease.Lost():
	case <-time.After(opts.Expiry):
		t.Fatal("Lost is open after an expiry")
	}
	// The cadence, and what a busy machine needs for a round of extension; to the
	// millisecond in TestPeer06LossIsSeenAtOnce.
	if took := time.Since(began); took > opts.ExtensionCadence+10*time.Second {
		t.Errorf("Lost closed after %v, want one cadence, %v", took, opts.ExtensionCadence)
	}
	cause := context.Cause(lease.Context())
	is(t, "the cause", cause, errs{core.ErrLost}, errs{core.ErrReleased})
	if !strings.Contains(cause.Error(), "majority") {
		t.Errorf("got the cause %q, want it to say that the majority is gone", cause)
	}
	is(t, "Release of a lost lease", lease.Release(t.Context()), errs{core.ErrLost}, nil)
	release(t, lock(t, l))
}

// testAllStall cuts a holder off from every node.
func testAllStall(t *testing.T, s *subject) {
	name := s.named("all stall")
	s.prepare(t, name)
	ps, addrs := s.proxies(t)
	lease := lock(t, s.locker(t, s.at(t, addrs, s.options(brief)), name))
	for _, p := range ps {
		p.Stall(proxy.Both)
	}
	sent := sum(ps, func(st proxy.Stats) int { return st.Requests })
	until := lastDeadline(t, lease)
	// Exactly then in TestPeer05Partition; here on a machine that may be busy.
	if late := time.Since(until); late > 10*time.Second {
		t.Errorf("the lease ended %v after ValidUntil", late)
	}
	if n := sum(ps, func(st proxy.Stats) int { return st.Requests }); n == sent {
		t.Error("nothing was sent while the nodes stalled")
	}
	if !done(lease.Lost()) {
		t.Error("Lost is open")
	}
	cause := context.Cause(lease.Context())
	is(t, "the cause", cause, errs{core.ErrLost}, errs{core.ErrReleased})
	var node *core.NodeError
	if !strings.Contains(cause.Error(), "deadline") || !errors.As(cause, &node) {
		t.Errorf("got the cause %q, want it to name the deadline and a node's failure", cause)
	}
	is(t, "Release of a lost lease", lease.Release(t.Context()), errs{core.ErrLost}, nil)

	// Others can have it: its key has ended, too, or does soon.
	other := lock(t, s.elsewhere(t, name, brief))
	for _, p := range ps {
		p.Resume() // what was held back arrives late: it is not the other one's
	}
	s.stillHeld(t, name)
	if other.Context().Err() != nil {
		t.Errorf("the next lease ended: %v", context.Cause(other.Context()))
	}
	release(t, other)
}

// lastDeadline waits until the lease ends and returns the last ValidUntil that it had.
func lastDeadline(t *testing.T, lease *core.Lease) time.Time {
	t.Helper()
	until := lease.ValidUntil()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-lease.Context().Done():
			return until
		case <-tick.C:
		}
		if u := lease.ValidUntil(); lease.Context().Err() == nil {
			until = u
		}
		if late := time.Since(until); late > 15*time.Second {
			t.Fatalf("the lease lives %v after its end", late)
		}
	}
}

func sum(ps []*proxy.Proxy, of func(proxy.Stats) int) (n int) {
	for _, p := range ps {
		n += of(p.Stats())
	}
	return n
}
