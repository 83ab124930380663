package waiting_test

import (
	"context"
	"os"
	"strconv"
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
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

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
		p, err := redlatch.New(clients.Patient(opts), dial(t, s.Addrs[0], i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		m := p.Mutex(name)
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
