package sim_test

import (
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/sim"
	"github.com/redlatch/redlatch/tests/testkit"
)

// TestEvictSparesAMajority takes a hold only from where it is not needed: not from two of
// three nodes, nor from the one that has it for longer than a majority of the others.
func TestEvictSparesAMajority(t *testing.T) {
	put := func(t *testing.T, n *sim.Node, ms string) {
		t.Helper()
		if _, err := n.Command("SET", "mutex", "owner", "PX", ms); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Bubble(t, sim.Config{Seed: 31, Nodes: 3, Clients: 0}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		for i, ms := range []string{"5000", "9000", "9000"} {
			put(t, c.Nodes[i], ms)
		}
		if !c.Evict(sim.HoldEvicted, false) || len(c.Nodes[0].Keys()) != 0 {
			t.Error("want the hold gone that the others have for longer")
		}
		if c.Evict(sim.HoldEvicted, false) {
			t.Error("got a hold evicted that is needed for a majority")
		}
		put(t, c.Nodes[0], "5000")
		time.Sleep(time.Second)
		put(t, c.Nodes[0], "7999")
		if !c.Evict(sim.HoldEvicted, false) || !c.Evict(sim.HoldEvicted, true) {
			t.Error("want the shorter one gone, and recklessly any")
		}
		if got := stats.Faults(sim.HoldEvicted); got != 3 {
			t.Errorf("got %d evictions counted, want 3", got)
		}
	})
}

// TestTokensOutliveTheCounter evicts the counter of a lock while its clock has not passed
// it: a client that has not asked the node yet, and whose clock is behind by less than a
// second, then gets a token below the last one. A second later nobody does.
func TestTokensOutliveTheCounter(t *testing.T) {
	testkit.Bubble(t, sim.Config{Seed: 32, Nodes: 1, Clients: 3}, func(t *testing.T, c *sim.Cluster, _ *sim.Stats) {
		take := func(client int) int64 {
			t.Helper()
			p, err := redlatch.New(&core.Options{Now: c.Clients[client].Wall.Now}, c.Clients[client].Nodes()...)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			m := p.Mutex("m")
			lease, err := m.Lock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer lease.Release(t.Context())
			return lease.Token()
		}
		c.Clients[1].Wall.Step(-900 * time.Millisecond)
		c.Clients[2].Wall.Step(-900 * time.Millisecond)
		first := take(0)
		if c.Evict(sim.MetaEvicted, false) {
			t.Error("got the counter evicted that the clock has not passed")
		}
		c.Evict(sim.MetaEvicted, true)
		if got := take(1); got >= first {
			t.Errorf("at once: got the token %d after %d, want it to show that it is too early", got, first)
		}
		time.Sleep(1100 * time.Millisecond)
		if !c.Evict(sim.MetaEvicted, false) {
			t.Error("want the counter evicted that the clock has passed")
		}
		if got := take(2); got <= first {
			t.Errorf("a second later: got the token %d after %d", got, first)
		}
	})
}
