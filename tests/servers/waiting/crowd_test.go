package waiting_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// hidden is a Scripter whose client cannot subscribe.
type hidden struct{ core.Scripter }

func hide(s core.Scripter) core.Scripter { return hidden{s} }

// subscribers returns how many clients of the server listen to the channels of the
// library, and the number of those channels.
func subscribers(t *testing.T, c *redis.Client) (connections, channels int) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	names, err := c.PubSubChannels(ctx, "redlatch:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	counts, err := c.PubSubNumSub(ctx, names...).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range counts {
		connections += int(n)
	}
	return connections, len(names)
}

// quiet waits until nobody listens to the channels of the library.
func quiet(t *testing.T, c *redis.Client) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		n, _ := subscribers(t, c)
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d subscriptions are left", n)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// scripts counts the scripts that the server has been sent, by its own statistics.
func scripts(t *testing.T, c *redis.Client) (n int) {
	t.Helper()
	info, err := c.Info(context.WithoutCancel(t.Context()), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(info, "\r\n") {
		for _, cmd := range []string{"cmdstat_evalsha:calls=", "cmdstat_eval:calls="} {
			if rest, ok := strings.CutPrefix(line, cmd); ok {
				count, _, _ := strings.Cut(rest, ",")
				calls, err := strconv.Atoi(count)
				if err != nil {
					t.Fatal(err)
				}
				n += calls
			}
		}
	}
	return n
}

// A thousand goroutines of one process cost what two clients do, and come in by the order
// in which they asked.
func TestThousandGoroutinesOnOneName(t *testing.T) {
	s := clients.One(t)
	plain := s.Plain(t)[0]
	const goroutines, pairs = 1000, 200

	// What a hand-over costs between two clients.
	two := clients.Name(t)
	before := scripts(t, plain)
	var wg sync.WaitGroup
	for range 2 {
		m := s.Connect(t, nil).Mutex(two)
		wg.Go(func() {
			for range pairs / 2 {
				clients.Release(t, clients.Take(t, m.Lock))
			}
		})
	}
	wg.Wait()
	perTwo := float64(scripts(t, plain)-before) / pairs

	name := clients.Name(t)
	c := s.Connect(t, nil)
	holder := clients.Take(t, c.Mutex(name).Lock)
	order := make(chan int, goroutines)
	h := checker.NewHistory()
	for i := range goroutines {
		m := c.Mutex(name)
		entered := make(chan struct{})
		wg.Go(func() {
			a := h.Ask(checker.Request{Name: name, Client: strconv.Itoa(i), Kind: checker.Exclusive})
			l, err := m.Lock(&entering{Context: t.Context(), entered: entered})
			if err != nil {
				t.Error(err)
				return
			}
			a.Granted(l)
			order <- i
			a.Released()
			clients.Release(t, l)
		})
		<-entered // it stands in line before the next one asks
	}
	before = scripts(t, plain)
	began := time.Now()
	clients.Release(t, holder)
	wg.Wait()
	took := time.Since(began)
	perMany := float64(scripts(t, plain)-before) / goroutines
	close(order)
	next := 0
	for i := range order {
		if i != next {
			t.Errorf("goroutine %d came in as number %d", i, next)
			break
		}
		next++
	}
	if err := h.Check(nil); err != nil {
		t.Error(err)
	}
	t.Logf("scripts per hand-over: %.2f with %d goroutines of one process, %.2f with 2 clients; %d hand-overs in %v", perMany, goroutines, perTwo, goroutines, took)
	if perMany > 2*perTwo {
		t.Errorf("got %.2f scripts per hand-over, want at most twice %.2f", perMany, perTwo)
	}
	s.Clean(t, name)
}

// entering tells when a call that waits looks at its context for the second time: the
// first is before it stands in line.
type entering struct {
	context.Context
	mu      sync.Mutex
	looks   int
	entered chan struct{}
}

func (c *entering) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.looks++; c.looks == 1 {
		close(c.entered)
	}
	return c.Context.Done()
}

func TestPeer19OneSubscriptionForAThousandNames(t *testing.T) {
	for _, at := range []struct {
		name  string
		site  func(testing.TB) *clients.Site
		names int
	}{{"1 node", clients.One, 1000}, {"3 nodes", clients.Three, 300}} {
		t.Run(at.name, func(t *testing.T) {
			s, names := at.site(t), at.names
			prefix := clients.Name(t)
			// A thousand calls at once have to share the connections of one client.
			patient := &core.Options{Expiry: 5 * time.Minute}
			owner, other := s.Connect(t, patient), s.Connect(t, patient)
			leases := make([]*core.Lease, names)
			var wg sync.WaitGroup
			room := make(chan struct{}, 16) // as many calls at a time, the machine is small
			for i := range names {
				room <- struct{}{}
				wg.Go(func() {
					leases[i] = clients.Take(t, owner.Mutex(fmt.Sprint(prefix, i)).Lock)
					<-room
				})
			}
			wg.Wait()
			var waiting []*clients.Pending
			for i := range names {
				waiting = append(waiting, clients.Wait(t, other.Mutex(fmt.Sprint(prefix, i)).Lock))
			}
			s.Queued(t, clients.Mutex, fmt.Sprint(prefix, names-1), 1)
			// The last ticket may stand in line before the server has got the subscription.
			nodes := s.Plain(t)
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				for _, c := range nodes {
					if connections, channels := subscribers(t, c); connections > 1 || channels > 1 {
						t.Fatalf("got %d subscriptions on %d channels, want 1 at most", connections, channels)
					}
				}
				if connections, _ := subscribers(t, nodes[0]); connections == 1 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("got no subscription on the first node, want 1")
				}
			}
			release := func(l *core.Lease) {
				room <- struct{}{}
				wg.Go(func() {
					clients.Release(t, l)
					<-room
				})
			}
			for _, l := range leases {
				release(l)
			}
			for _, w := range waiting {
				release(w.Lease(20 * time.Second))
			}
			wg.Wait()
			for _, c := range s.Plain(t) {
				quiet(t, c) // it ends by itself when nobody waits
			}
			s.Clean(t, prefix)
		})
	}
}
