package exclusion_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	pool "github.com/gomodule/redigo/redis"
	"github.com/redis/go-redis/v9"
	rueidisclient "github.com/redis/rueidis"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/adapters/redigo"
	"github.com/redlatch/redlatch/adapters/rueidis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/states"
)

// dials are the clients, as programs make them.
var dials = map[string]func(t *testing.T, addr string) core.Scripter{
	"goredis": func(t *testing.T, addr string) core.Scripter {
		c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = c.Close() })
		return goredis.New(c)
	},
	"redigo": func(t *testing.T, addr string) core.Scripter {
		p := &pool.Pool{MaxIdle: 16, DialContext: func(ctx context.Context) (pool.Conn, error) {
			return pool.DialContext(ctx, "tcp", addr, pool.DialReadTimeout(3*time.Second))
		}}
		t.Cleanup(func() { _ = p.Close() })
		return redigo.New(p)
	},
	"rueidis": func(t *testing.T, addr string) core.Scripter {
		c, err := rueidisclient.NewClient(rueidisclient.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return rueidis.New(c)
	},
}

// all makes one lock of each kind and side: of a semaphore one that a holder fills.
func all(t *testing.T, p *redlatch.Provider, name string) (all []core.Locker) {
	t.Helper()
	m := p.Mutex(name)
	w := p.RWMutex(name + " written")
	r := p.RWMutex(name + " read")
	s, err := p.Semaphore(name+" of 1", 1)
	if err != nil {
		t.Fatal(err)
	}
	return []core.Locker{m, w, r.RLocker(), s.Locker()}
}

// refusing counts the answers of a kind that the server has given.
func refusing(t *testing.T, s *redistest.Server, code string) int {
	t.Helper()
	info, err := client(t, s.Addr()).Info(t.Context(), "errorstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	if _, rest, ok := strings.Cut(info, "errorstat_"+code+":count="); ok {
		fmt.Sscan(rest, &count)
	}
	return count
}

// TestServerThatRefusesForAWhile has the only server refuse for longer than a cadence, and
// less than a lease: every lease stays, and whoever stands in line waits on. Where it
// refuses for longer than a lease, the lease is lost, and the loss says why; but where its
// memory is full, since what an extension does needs none.
func TestServerThatRefusesForAWhile(t *testing.T) {
	t.Parallel()
	const expiry = 6 * time.Second
	for name, dial := range dials {
		for _, st := range states.All {
			t.Run(name+": "+st.Name, func(t *testing.T) {
				t.Parallel()
				servers := redistest.Start(t, 1, &redistest.Config{AppendOnly: true, Args: states.Args})
				redistest.NeedReal(t, servers)
				redistest.NeedFaults(t, servers)
				s, ctx := servers[0], t.Context()
				begin := func() {
					t.Helper()
					if err := st.Begin(ctx, s.Addr()); err != nil {
						t.Fatal(err)
					}
				}
				end := func() {
					t.Helper()
					if err := st.End(ctx, s.Addr()); err != nil {
						t.Fatal(err)
					}
				}
				opts := &core.Options{Expiry: expiry, MinValidity: expiry / 2, ExtensionCadence: time.Second, MinBusyWait: 5 * time.Millisecond, MaxBusyWait: 300 * time.Millisecond}
				holder := provider(t, []core.Scripter{dial(t, s.Addr())}, opts)
				waiter := provider(t, []core.Scripter{dial(t, s.Addr())}, opts)
				var leases []*core.Lease
				for _, l := range all(t, holder, t.Name()) {
					leases = append(leases, lock(t, l))
				}
				lines := all(t, waiter, t.Name())
				read := waiter.RWMutex(t.Name() + " read")
				lines[2] = read // a reader lets another one in
				type result struct {
					lease *core.Lease
					err   error
				}
				results := make([]chan result, len(lines))
				for i, l := range lines {
					results[i] = make(chan result, 1)
					go func() {
						lease, err := l.Lock(ctx)
						results[i] <- result{lease, err}
					}()
				}
				c := client(t, s.Addr())
				eventually(t, soon, "all stand in line", func() bool {
					return len(c.Keys(ctx, "*:queue").Val()) == len(lines)
				})

				before := time.Now()
				begin()
				fresh := mutex(t, holder, t.Name()+" fresh")
				var node *core.NodeError
				if _, err := fresh.TryLock(ctx); !errors.As(err, &node) || errors.Is(err, core.ErrNotAcquired) {
					t.Errorf("TryLock of a free lock: got %v, want the node's failure alone", err)
				}
				time.Sleep(time.Until(before.Add(1500 * time.Millisecond))) // longer than the cadence
				end()
				if lasted := time.Since(before); lasted > expiry/2 {
					t.Skipf("the machine took %v for a state of 1.5 s", lasted)
				}
				if got := refusing(t, s, st.Code); got == 0 {
					t.Errorf("got no answer %s", st.Code)
				}
				for i, lease := range leases {
					eventually(t, expiry, lease.Name()+" is extended", func() bool {
						return lease.Context().Err() != nil || lease.ValidUntil().After(before.Add(expiry+time.Second))
					})
					if err := context.Cause(lease.Context()); err != nil {
						t.Errorf("%s: %v", lease.Name(), err)
					}
					select {
					case r := <-results[i]:
						t.Errorf("%s: whoever stands in line came back with %v", lease.Name(), r.err)
						results[i] <- r
					default:
					}
				}
				var wg sync.WaitGroup
				for i, lease := range leases {
					wg.Go(func() {
						release(t, lease)
						r := <-results[i]
						if r.err != nil {
							t.Errorf("%s: Lock: %v", lease.Name(), r.err)
						}
						leases[i] = r.lease
					})
				}
				wg.Wait()
				if t.Failed() {
					return
				}

				begin()
				if st.Code == "OOM" {
					time.Sleep(expiry + expiry/2)
					for _, lease := range leases {
						if err := context.Cause(lease.Context()); err != nil {
							t.Errorf("%s: %v", lease.Name(), err)
						}
						release(t, lease)
					}
					leases = nil
				}
				for _, lease := range leases {
					select {
					case <-lease.Lost():
					case <-time.After(2 * expiry):
						t.Fatalf("%s: still held after %v of %s", lease.Name(), 2*expiry, st.Name)
					}
					cause := context.Cause(lease.Context())
					if !errors.Is(cause, core.ErrLost) || !errors.As(cause, &node) {
						t.Errorf("%s: got the cause %v, want ErrLost with the node's failure", lease.Name(), cause)
					}
					t.Logf("%s: %v", lease.Name(), cause)
				}
				end()
				for _, l := range all(t, holder, t.Name()) {
					short, cancel := context.WithTimeout(ctx, 2*expiry)
					lease, err := l.Lock(short)
					cancel()
					if err != nil {
						t.Errorf("%s: Lock afterwards: %v", l.Name(), err)
						continue
					}
					release(t, lease)
				}
			})
		}
	}
}
