package redistest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
)

// eachReal runs a test on every kind that can form a cluster.
func eachReal(t *testing.T, test func(t *testing.T, kind redistest.Kind)) {
	each(t, func(t *testing.T, kind redistest.Kind) {
		if kind == redistest.Embedded {
			_, err := redistest.OpenCluster(t.Context(), &redistest.Config{Kind: kind})
			wantUnsupported(t, err)
			_, err = redistest.OpenSentinel(t.Context(), &redistest.Config{Kind: kind})
			wantUnsupported(t, err)
			return
		}
		test(t, kind)
	})
}

// TestCluster asks every node for keys of every node: it serves its own and names
// the address of the others.
func TestCluster(t *testing.T) {
	t.Parallel()
	eachReal(t, func(t *testing.T, kind redistest.Kind) {
		nodes := redistest.StartCluster(t, &redistest.Config{Kind: kind, AppendOnly: true})
		addrs := redistest.Addrs(nodes)
		if len(addrs) != 3 {
			t.Fatalf("got %d nodes, want 3", len(addrs))
		}
		owners := make(map[string]bool)
		for i := range 30 {
			key := fmt.Sprint("key", i)
			var served []string
			var named []string
			for _, addr := range addrs {
				got := do(t, addr, "SET", key, addr)
				if got == "+OK" {
					served = append(served, addr)
				} else if fields := strings.Fields(got); len(fields) == 3 && fields[0] == "-MOVED" {
					named = append(named, fields[2])
				} else {
					t.Errorf("SET %s at %s: got %q", key, addr, got)
				}
			}
			if len(served) != 1 || !slices.Equal(named, []string{served[0], served[0]}) {
				t.Fatalf("%s: served by %v, others name %v; want one, and the others naming it", key, served, named)
			}
			owners[served[0]] = true
		}
		if len(owners) != 3 {
			t.Errorf("30 keys are on %d nodes, want 3", len(owners))
		}

		redistest.Do(t, nodes[2].Restart)
		eventually(t, "the cluster serves again", func() error {
			for i := range 30 {
				key := fmt.Sprint("key", i)
				got := do(t, addrs[2], "GET", key)
				if got != addrs[2] && !strings.HasPrefix(got, "-MOVED") {
					return fmt.Errorf("GET %s: %q", key, got)
				}
			}
			return nil
		})
	})
}

// TestSentinel fails over once and then lets the old primary back in.
func TestSentinel(t *testing.T) {
	t.Parallel()
	eachReal(t, func(t *testing.T, kind redistest.Kind) {
		s := redistest.StartSentinel(t, &redistest.Config{Kind: kind})
		if len(s.Addrs()) != 3 || len(s.Servers()) != 3 {
			t.Fatalf("got %d sentinels and %d servers, want 3 and 3", len(s.Addrs()), len(s.Servers()))
		}
		old, err := s.Primary(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if old != s.Servers()[0] {
			t.Errorf("the primary is %s, want the first server, %s", old.Addr(), s.Servers()[0].Addr())
		}
		c, err := dial(old.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, command := range [][]string{{"SET", "k", "v"}, {"WAIT", "2", "5000"}} {
			if _, err := c.do(6*time.Second, command...); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		primary, err := s.Failover(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("failover from %s to %s in %v", old.Addr(), primary.Addr(), time.Since(start))
		if primary == old {
			t.Fatal("the old primary is the new one")
		}
		wantRefused(t, old.Addr())
		want(t, "GET at the new primary", do(t, primary.Addr(), "GET", "k"), "v")
		want(t, "SET at the new primary", do(t, primary.Addr(), "SET", "k", "w"), "+OK")

		redistest.Do(t, old.Restart)
		eventually(t, "the old primary is a replica", func() error {
			// It drops its clients when it changes its role.
			c, err := dial(old.Addr())
			if err != nil {
				return err
			}
			defer c.Close()
			got, err := c.do(5*time.Second, "SET", "k", "x")
			if err == nil && !strings.HasPrefix(got, "-READONLY") {
				err = fmt.Errorf("SET there: %q", got)
			}
			return err
		})
	})
}

// eventually waits longer than sentinels do nothing after the machine has stood still for
// two seconds: thirty (TILT).
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	const limit = 90 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
