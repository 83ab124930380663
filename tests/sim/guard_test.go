package sim_test

import (
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/sim"
	"github.com/redlatch/redlatch/tests/testkit"
)

// TestRestartGuardOutlivesLease has a node lose its data and come back at once
// while a holder that can no longer extend still believes in its lease. The node
// counts its uptime in whole seconds, so the phase of the second matters.
func TestRestartGuardOutlivesLease(t *testing.T) {
	for phase := time.Duration(0); phase < time.Second; phase += 100 * time.Millisecond {
		testkit.Bubble(t, sim.Config{Seed: 13, Nodes: 1, Clients: 2}, func(t *testing.T, c *sim.Cluster, _ *sim.Stats) {
			opts := &core.Options{Expiry: 10 * time.Second, RestartGuard: 10 * time.Second}
			var mutexes []core.Locker
			for _, cl := range c.Clients {
				p, err := redlatch.New(opts, cl.Nodes()...)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				m := p.Mutex("m")
				mutexes = append(mutexes, m)
			}
			time.Sleep(20*time.Second + phase)
			first, err := mutexes[0].Lock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.Clients[0].Kill()
			if err := c.Nodes[0].Crash(sim.KeepNone); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
			c.Nodes[0].Restart(0)
			for {
				second, err := mutexes[1].TryLock(t.Context())
				if err == nil {
					if left := time.Until(first.ValidUntil()); left > 0 {
						t.Errorf("phase %v: got the lock %v before the first holder's lease ended", phase, left)
					}
					if second.Token() <= first.Token() {
						t.Errorf("phase %v: got the token %d after %d", phase, second.Token(), first.Token())
					}
					second.Release(t.Context())
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}
