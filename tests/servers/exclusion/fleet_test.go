package exclusion_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// patient are the options where time is not what is tested: a node has 12 s to answer, so
// a slow machine fails nothing.
var patient = core.Options{Expiry: 30 * time.Second, MinValidity: 18 * time.Second}

// A fleet is servers, some of which may be dead or paused. Each is a node, or all of
// them are one: a Redis Cluster.
type fleet struct {
	servers []*redistest.Server
	live    []*redistest.Server
	cluster bool
	raw     []redis.UniversalClient // of the live nodes, for looking and meddling
	user    redis.Options           // user name and password of the processes; empty: the default user

	closing sync.WaitGroup // processes that are ending
	mu      sync.Mutex
	errs    []error // of their ends
}

// start starts n servers that nothing is wrong with.
func start(t *testing.T, n int, cfg *redistest.Config) *fleet {
	t.Helper()
	f := &fleet{servers: redistest.Start(t, n, cfg)}
	f.live = f.servers
	f.look(t)
	t.Cleanup(func() { f.closed(t) })
	return f
}

// startCluster starts a cluster that nothing is wrong with.
func startCluster(t *testing.T, cfg *redistest.Config) *fleet {
	t.Helper()
	f := &fleet{servers: clients.ClusterOf(t, cfg), cluster: true}
	redistest.NeedReal(t, f.servers)
	f.live = f.servers
	f.look(t)
	t.Cleanup(func() { f.closed(t) })
	return f
}

// closed waits until the processes of tests that are over have ended.
func (f *fleet) closed(t *testing.T) {
	f.closing.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, err := range f.errs {
		t.Errorf("Close: %v", err)
	}
	f.errs = nil
}

// look connects to the live nodes.
func (f *fleet) look(t *testing.T) {
	f.raw = dial(redistest.Addrs(f.live), redis.Options{}, f.cluster)
	for _, c := range f.raw {
		t.Cleanup(func() { _ = c.Close() })
	}
}

// dial returns a client of each node that is reached at addrs.
func dial(addrs []string, o redis.Options, cluster bool) (nodes []redis.UniversalClient) {
	o.DisableIdentity = true // which a limited user is denied: nothing is to be in the servers' logs
	if cluster {
		return append(nodes, redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: addrs, Username: o.Username, Password: o.Password, DisableIdentity: o.DisableIdentity,
		}))
	}
	for _, addr := range addrs {
		o.Addr = addr
		nodes = append(nodes, redis.NewClient(&o))
	}
	return nodes
}

// client returns a go-redis client that is closed when the test ends.
func client(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// connect returns Scripters on clients of their own, as another process would have.
func connect(t *testing.T, addrs ...string) []core.Scripter {
	nodes := make([]core.Scripter, len(addrs))
	for i, addr := range addrs {
		nodes[i] = goredis.New(client(t, addr))
	}
	return nodes
}

// provider returns a provider that is closed when the test ends. No options are the
// patient ones.
func provider(t *testing.T, nodes []core.Scripter, opts *core.Options) *redlatch.Provider {
	t.Helper()
	if opts == nil {
		opts = &patient
	}
	p, err := redlatch.New(opts, nodes...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// process returns a provider with clients of its own, as another process would have.
// It ends after the test, beside other tests: a hung node takes its time.
func (f *fleet) process(t *testing.T, opts *core.Options) *redlatch.Provider {
	t.Helper()
	return f.at(t, redistest.Addrs(f.servers), opts)
}

// at is process on servers that are reached at addrs.
func (f *fleet) at(t *testing.T, addrs []string, opts *core.Options) *redlatch.Provider {
	t.Helper()
	clients := dial(addrs, f.user, f.cluster)
	var nodes []core.Scripter
	for _, c := range clients {
		nodes = append(nodes, goredis.New(c))
	}
	if opts == nil {
		opts = &patient
	}
	p, err := redlatch.New(opts, nodes...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.closing.Go(func() {
			if err := p.Close(); err != nil {
				f.mu.Lock()
				f.errs = append(f.errs, err)
				f.mu.Unlock()
			}
			for _, c := range clients {
				_ = c.Close()
			}
		})
	})
	return p
}

// mutex returns a mutex of a process of its own.
func (f *fleet) mutex(t *testing.T, name string, opts *core.Options) core.Locker {
	t.Helper()
	return mutex(t, f.process(t, opts), name)
}

// mutex returns p's mutex of that name.
func mutex(t *testing.T, p *redlatch.Provider, name string) core.Locker {
	t.Helper()
	return p.Mutex(name)
}

// proxies puts a proxy before each server, dead ones included.
func (f *fleet) proxies(t *testing.T) (ps []*proxy.Proxy, addrs []string) {
	t.Helper()
	for _, s := range f.servers {
		p, err := proxy.Start(s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		ps, addrs = append(ps, p), append(addrs, p.Addr())
	}
	return ps, addrs
}

// seen waits until the proxy's counters satisfy ok.
func seen(t *testing.T, p *proxy.Proxy, what string, ok func(proxy.Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Await(ctx, ok); err != nil {
		t.Fatalf("the proxy has not seen %s: %+v", what, p.Stats())
	}
}

// absent waits until no live server has the key.
func (f *fleet) absent(t *testing.T, key string, within time.Duration) {
	t.Helper()
	eventually(t, within, fmt.Sprintf("key %q is gone", key), func() bool { return f.holding(t, key) == 0 })
}

// holding returns how many live nodes have the key.
func (f *fleet) holding(t *testing.T, key string) int {
	t.Helper()
	sum := 0
	for _, c := range f.raw {
		n, err := c.Exists(t.Context(), key).Result()
		if err != nil {
			t.Fatalf("EXISTS %q: %v", key, err)
		}
		sum += int(n)
	}
	return sum
}

// eventually waits, by asking again and again, until ok.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %v it is still not so that %s", within, what)
		}
	}
}

// lock locks or ends the test.
func lock(t *testing.T, l core.Locker) *core.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lease, err := l.Lock(ctx)
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	return lease
}

// release releases or fails the test.
func release(t *testing.T, l *core.Lease) {
	t.Helper()
	if err := l.Release(t.Context()); err != nil {
		t.Errorf("Release: %v", err)
	}
}

// moved reports whether the lease's deadline is later than it was: by more than the time
// between the readings of two clocks.
func moved(lease *core.Lease, was time.Time) bool {
	return lease.ValidUntil().Sub(was) > time.Millisecond
}
