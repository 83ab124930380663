package waiting_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
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
	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/rwsem/clients"
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

// A program takes one side of a lock in turn with others.
type program struct {
	kind  checker.Kind
	limit int
	lock  func(context.Context) (*core.Lease, error)
}

// contend lets programs take a lock in turn until stop, and records what they do.
func contend(stop context.Context, t *testing.T, h *checker.History, name string, programs []program) {
	var wg sync.WaitGroup
	for i, p := range programs {
		wg.Go(func() {
			for stop.Err() == nil {
				a := h.Ask(checker.Request{Name: name, Client: strconv.Itoa(i), Kind: p.kind, Limit: p.limit})
				l, err := p.lock(stop)
				if err != nil {
					a.GaveUp()
					if stop.Err() == nil {
						t.Error(err)
					}
					return
				}
				a.Granted(l)
				time.Sleep(2 * time.Millisecond) // the work
				a.Released()
				clients.Release(t, l)
			}
		})
	}
	wg.Wait()
}

// dial connects a program to a server by one adapter or another.
func dial(t *testing.T, addr string, which int) core.Scripter {
	t.Helper()
	switch which % 3 {
	case 0:
		c := redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { _ = c.Close() })
		return goredis.New(c)
	case 1:
		p := &pool.Pool{MaxIdle: 4, DialContext: func(ctx context.Context) (pool.Conn, error) {
			return pool.DialContext(ctx, "tcp", addr)
		}}
		t.Cleanup(func() { _ = p.Close() })
		return redigo.New(p)
	}
	c, err := rueidisclient.NewClient(rueidisclient.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return rueidis.New(c)
}

// stalls measures until stop for how long this machine lets a goroutine wait that has
// nothing to do but to wake. end returns the longest.
func stalls() (end func() time.Duration) {
	stop, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		const every = 5 * time.Millisecond
		most, due := time.Duration(0), time.Now().Add(every)
		for {
			select {
			case <-stop:
				longest <- most
				return
			case <-time.After(time.Until(due)):
				most, due = max(most, time.Since(due)), time.Now().Add(every)
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-longest
	}
}

// checkIdle judges the history: while somebody waits the lock is free for a poll at most,
// MaxBusyWait, and for what the machine takes. Between two holders are four steps from
// process to process, the release, the next one's question, the answer, and with several
// nodes the others' answer; each may meet a machine that stands still as it did at its
// worst. 100 ms are for many clients at once on two processors.
func checkIdle(t *testing.T, h *checker.History, poll, stall time.Duration) {
	t.Helper()
	bound := poll + 4*stall + 100*time.Millisecond
	if err := h.Check(&checker.Rules{MaxIdle: bound}); err != nil {
		t.Error(err)
	}
	idle := time.Millisecond
	for idle < bound && h.Check(&checker.Rules{MaxIdle: idle}) != nil {
		idle += idle / 2
	}
	t.Logf("%d grants, never free for longer than %v while somebody waited; the machine stood still for %v", granted(h), min(idle, bound), stall)
}

// granted counts the grants of a history.
func granted(h *checker.History) (n int) {
	for _, c := range h.Claims() {
		if !c.Granted.IsZero() {
			n++
		}
	}
	return n
}

// REDLATCH_WAITING_FOR=1m makes it longer than it usually is.
func TestSubscriptionsKilledAgainAndAgain(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	plain := s.Plain(t)[0]
	long := 10 * time.Second
	if testing.Short() {
		long = 3 * time.Second
	}
	if text := os.Getenv("REDLATCH_WAITING_FOR"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	opts := &core.Options{MaxBusyWait: 2 * time.Second}
	var programs []program
	for i := range 50 {
		p, err := redlatch.New([]core.Scripter{dial(t, s.Addrs[0], i)}, clients.Patient(opts))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		m, err := p.Mutex(name)
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, program{checker.Exclusive, 0, m.Lock})
	}

	stop, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	killed := make(chan int)
	go func() {
		n := 0
		defer func() { killed <- n }()
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case <-stop.Done():
				return
			case <-tick.C:
				k, err := plain.Do(context.WithoutCancel(stop), "CLIENT", "KILL", "TYPE", "pubsub").Int()
				if err != nil {
					t.Error(err)
				}
				n += k
			}
		}
	}()
	h := checker.NewHistory()
	stalled := stalls()
	contend(stop, t, h, name, programs)
	stall := stalled()
	n := <-killed
	t.Logf("%d subscriptions killed", n)
	if n < 100 {
		t.Errorf("got %d subscriptions killed, want at least 100", n)
	}
	// A lost message costs a poll of those who are next.
	checkIdle(t, h, opts.MaxBusyWait, stall)
	quiet(t, plain)
	s.Clean(t, name)
}

// Without the Subscriber capability waiters poll.
func TestWithoutSubscriber(t *testing.T) {
	const limit = 2
	sides := map[string]func(c *clients.Client, name string, i int) program{
		"mutex": func(c *clients.Client, name string, _ int) program {
			return program{checker.Exclusive, 0, c.Mutex(name).Lock}
		},
		"rw": func(c *clients.Client, name string, i int) program {
			if i%2 == 0 {
				return program{checker.Exclusive, 0, c.RWMutex(name).Lock}
			}
			return program{checker.Shared, 0, c.RWMutex(name).RLock}
		},
		"semaphore": func(c *clients.Client, name string, _ int) program {
			return program{checker.Permit, limit, c.Semaphore(name, limit).Acquire}
		},
	}
	for _, kind := range []string{clients.Mutex, clients.RW, clients.Semaphore} {
		t.Run(kind, func(t *testing.T) {
			if kind == clients.Semaphore { // it is on one node
				polling(t, clients.One(t), sides[kind])
				return
			}
			clients.Each(t, func(t *testing.T, s *clients.Site) { polling(t, s, sides[kind]) })
		})
	}
}

// polling lets programs that cannot subscribe take a lock in turn.
func polling(t *testing.T, s *clients.Site, side func(*clients.Client, string, int) program) {
	name := clients.Name(t)
	opts := &core.Options{MaxBusyWait: 100 * time.Millisecond}
	var programs []program
	for i := range 5 {
		programs = append(programs, side(clients.ConnectWith(t, s.Addrs, opts, redis.Options{}, hide), name, i))
	}
	stop, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	before, _ := subscribers(t, s.Plain(t)[0])
	h := checker.NewHistory()
	go func() { // for a second, and longer where the machine is slow
		defer cancel()
		for began := time.Now(); stop.Err() == nil && (time.Since(began) < time.Second || granted(h) < 10); {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	stalled := stalls()
	contend(stop, t, h, name, programs)
	stall := stalled()
	after, _ := subscribers(t, s.Plain(t)[0])
	if before != 0 || after != 0 {
		t.Errorf("got %d and %d subscriptions, want none", before, after)
	}
	if n := granted(h); n < 10 {
		t.Errorf("got %d grants in 30 s, want at least 10", n)
	}
	checkIdle(t, h, opts.MaxBusyWait, stall)
	s.Clean(t, name)
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
