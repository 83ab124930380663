package deployments_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// TestClusterWakesUp lets somebody wait for names on every node of a cluster, with polls
// that would come too late: the message of the node that has the name must reach the
// subscription, whichever node that is on.
func TestClusterWakesUp(t *testing.T) {
	servers := clients.Cluster(t)
	for _, d := range clusterClients {
		t.Run(d.client, func(t *testing.T) {
			opts := &core.Options{Expiry: time.Minute, MinBusyWait: 20 * time.Second, MaxBusyWait: 20 * time.Second}
			providers := make([]*redlatch.Provider, 2)
			for i := range providers {
				p, err := redlatch.New(opts, d.dial(t, redistest.Addrs(servers), ""))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = p.Close() })
				providers[i] = p
			}
			seen := map[string]bool{}
			for n := 0; len(seen) < len(servers); n++ {
				name := fmt.Sprintf("%s %d", t.Name(), n)
				held := take(t, providers[0], name)
				addr := owner(t, servers, name)
				if seen[addr] {
					_ = held.Release(t.Context())
					continue
				}
				seen[addr] = true

				granted := make(chan *core.Lease)
				go func() { granted <- take(t, providers[1], name) }()
				queue := direct(t, addr)
				eventually(t, 10*time.Second, "somebody stands in line", func() bool {
					return queue.ZCard(t.Context(), "{"+name+"}:mutex:queue").Val() == 1
				})
				// The first waiter of a provider subscribes, and asks once more when that is done.
				eventually(t, 10*time.Second, "somebody listens", func() bool { return listeners(t, servers) > 0 })
				began := time.Now()
				if err := held.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
				select {
				case lease := <-granted:
					t.Logf("%s on %s: woken after %v", name, addr, time.Since(began))
					_ = lease.Release(context.Background())
				case <-time.After(10 * time.Second):
					t.Fatalf("%s on %s: not woken within 10 s", name, addr)
				}
			}
		})
	}
}

func take(t *testing.T, p *redlatch.Provider, name string) *core.Lease {
	lease, err := p.Mutex(name).Lock(t.Context())
	if err != nil {
		t.Error(err)
	}
	return lease
}

// owner returns the node that holds the key.
func owner(t *testing.T, servers []*redistest.Server, key string) string {
	t.Helper()
	for _, s := range servers {
		if n, err := direct(t, s.Addr()).Exists(t.Context(), key).Result(); err == nil && n == 1 {
			return s.Addr()
		}
	}
	t.Fatalf("no node has %q", key)
	return ""
}

// listeners counts the subscriptions to channels of this library.
func listeners(t *testing.T, servers []*redistest.Server) (n int) {
	t.Helper()
	for _, s := range servers {
		channels, err := direct(t, s.Addr()).PubSubChannels(t.Context(), "redlatch:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		n += len(channels)
	}
	return n
}
