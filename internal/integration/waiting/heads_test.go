package waiting_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/sim"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/redlock"
)

const (
	name = "l"
	// deadline is what a waiter that is called has to come, on a fast network with a
	// live subscription.
	deadline = 100 * time.Millisecond
	maxPoll  = 800 * time.Millisecond // Options.MaxBusyWait
)

// line is a simulated cluster on which one client holds a mutex and the others wait.
type line struct {
	*sim.Cluster
	t       *testing.T
	stats   *sim.Stats
	mutexes []*redlock.Mutex
	holder  *core.Lease

	mu     sync.Mutex
	cancel []context.CancelFunc
	calls  []chan result
	woken  []func() // what to do in the instant in which the i-th client is called
}

type result struct {
	lease *core.Lease
	err   error
	at    time.Time
}

// inLine runs body with n clients in line, in the order of their numbers from 1 on,
// while client 0 holds.
func inLine(t *testing.T, nodes, n int, body func(t *testing.T, l *line)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		stats := &sim.Stats{}
		c, err := sim.New(sim.Config{Seed: 21, Nodes: nodes, Clients: n + 1}, stats)
		if err != nil {
			t.Fatal(err)
		}
		l := &line{Cluster: c, t: t, stats: stats, woken: make([]func(), n+1)}
		var providers []*redlatch.Provider
		for i, client := range c.Clients {
			var ns []core.Scripter
			for _, node := range client.Nodes() {
				ns = append(ns, &listening{node, node.(core.Subscriber), func() { l.called(i) }})
			}
			p, err := redlatch.New(ns, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, err := p.Mutex(name)
			if err != nil {
				t.Fatal(err)
			}
			providers = append(providers, p)
			l.mutexes = append(l.mutexes, m)
		}
		if l.holder, err = l.mutexes[0].Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.cancel, l.calls = make([]context.CancelFunc, n+1), make([]chan result, n+1)
		for i := 1; i <= n; i++ {
			ctx, cancel := context.WithCancel(t.Context())
			l.cancel[i], l.calls[i] = cancel, make(chan result, 1)
			go func() {
				lease, err := l.mutexes[i].Lock(ctx)
				l.calls[i] <- result{lease, err, time.Now()}
			}()
			time.Sleep(50 * time.Millisecond)
		}
		if got, err := c.Nodes[0].Command("ZCARD", keys.Siblings(name, "mutex:queue")[0]); err != nil || fmt.Sprint(got) != fmt.Sprint(n) {
			t.Fatalf("got %v tickets in line, %v, want %d", got, err, n)
		}
		body(t, l)
		for _, cancel := range l.cancel[1:] {
			cancel()
		}
		for _, p := range providers {
			_ = p.Close() // those of dead clients cannot
		}
		time.Sleep(2 * time.Minute) // calls of dead clients end by their read timeout
		c.Close()
	})
}

func (l *line) called(i int) {
	l.mu.Lock()
	f := l.woken[i]
	l.mu.Unlock()
	if f != nil {
		f()
	}
}

// release lets the holder go and returns how long after that client i held.
func (l *line) release(i int) time.Duration {
	l.t.Helper()
	began := time.Now()
	if err := l.holder.Release(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	r := <-l.calls[i]
	if r.err != nil {
		l.t.Fatal(r.err)
	}
	return r.at.Sub(began)
}

// listening tells of each message before it is delivered.
type listening struct {
	core.Scripter
	sub    core.Subscriber
	before func()
}

func (s *listening) Subscribe(ctx context.Context, channel string, ready func(), deliver func(string)) error {
	return s.sub.Subscribe(ctx, channel, ready, func(payload string) {
		s.before()
		deliver(payload)
	})
}

func TestHeadKilled(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		inLine(t, nodes, 2, func(t *testing.T, l *line) {
			l.Clients[1].Kill()
			got := l.release(2)
			t.Logf("%d nodes: the next one held after %v", nodes, got)
			if got > deadline+maxPoll {
				t.Errorf("%d nodes: the next one held after %v, want %v at most", nodes, got, deadline+maxPoll)
			}
		})
	}
}

func TestHeadHung(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		inLine(t, nodes, 2, func(t *testing.T, l *line) {
			l.Clients[1].Pause(true)
			got := l.release(2)
			t.Logf("%d nodes: the next one held after %v", nodes, got)
			if got > deadline+maxPoll {
				t.Errorf("%d nodes: the next one held after %v, want %v at most", nodes, got, deadline+maxPoll)
			}
			second := <-asResult(l.mutexes[0].TryLock)
			if !errors.Is(second.err, core.ErrNotAcquired) {
				t.Errorf("%d nodes: got %v beside the next one's lease, want %v", nodes, second.err, core.ErrNotAcquired)
			}
			l.Clients[1].Resume()
		})
	}
}

func asResult(lock func(context.Context) (*core.Lease, error)) <-chan result {
	ch := make(chan result, 1)
	lease, err := lock(context.Background())
	ch <- result{lease, err, time.Now()}
	return ch
}

// A waiter whose context ends in the instant in which it is called passes the call on.
func TestPeer28HeadCancelledWhenCalled(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		const leaving = 50
		inLine(t, nodes, leaving+1, func(t *testing.T, l *line) {
			for i := 1; i <= leaving; i++ {
				l.woken[i] = l.cancel[i]
			}
			got := l.release(leaving + 1)
			t.Logf("%d nodes: after %d that left when called, the next one held after %v", nodes, leaving, got)
			if got > deadline+maxPoll {
				t.Errorf("%d nodes: the next one held after %v, want %v at most", nodes, got, deadline+maxPoll)
			}
			for i := 1; i <= leaving; i++ {
				if r := <-l.calls[i]; !errors.Is(r.err, core.ErrNotAcquired) || !errors.Is(r.err, context.Canceled) {
					t.Fatalf("client %d: got %v, want %v and %v", i, r.err, core.ErrNotAcquired, context.Canceled)
				}
			}
		})
	}
}

func TestPeer18FiftyDeadHeads(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		const dead, live = 50, 20
		inLine(t, nodes, dead+live, func(t *testing.T, l *line) {
			for i := 1; i <= dead; i++ {
				l.Clients[i].Kill()
			}
			time.Sleep(2 * time.Second)
			before := l.stats.Scripts.Load()
			got := l.release(dead + 1)
			scripts := l.stats.Scripts.Load() - before
			// The first live waiter comes after one poll of its place in line, at the
			// latest; from then on it costs a claim deadline for each.
			bound := dead*deadline + 8*maxPoll
			t.Logf("%d nodes: %d dead heads took %v, and %d scripts of %d waiters", nodes, dead, got, scripts, live)
			if got > bound {
				t.Errorf("%d nodes: %d dead heads took %v, want %v at most", nodes, dead, got, bound)
			}
			// One of the live ones looks after each dead head; the others sleep on.
			if most := int64(2*dead + 4*live); scripts > most {
				t.Errorf("%d nodes: got %d scripts meanwhile, want %d at most", nodes, scripts, most)
			}
		})
	}
}
