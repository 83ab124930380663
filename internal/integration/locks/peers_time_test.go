package locks_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/sim"
)

// 5, 6: a holder is cut off: the next one is granted before the first one's context has
// ended, or the first one learns of it on some later tick.
func TestPeer05Partition(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		inBubble(t, sim.Config{Seed: 5, Nodes: nodes, Clients: 2}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
			opts := core.Options{Expiry: 5 * time.Second}
			a, b := simulated(t, c.Clients[0], opts), simulated(t, c.Clients[1], opts)
			first, next := mutex(t, a, "partition"), mutex(t, b, "partition")
			const phases = 40
			for phase := range phases {
				lease := lock(t, first)
				granted := make(chan time.Time, 1)
				go func() {
					other, err := next.Lock(t.Context())
					granted <- time.Now()
					if err != nil {
						t.Errorf("Lock: %v", err)
						return
					}
					if err := other.Release(t.Context()); err != nil {
						t.Errorf("Release: %v", err)
					}
				}()
				// In the midst of the extensions, too, whose round trips take up to 2 ms.
				time.Sleep(time.Duration(phase)*opts.Expiry/phases + time.Duration(phase%8)*250*time.Microsecond)
				cut(c.Clients[0], true)
				at := time.Now()
				synctest.Wait()
				until := lease.ValidUntil()
				over := <-ended(lease.Context())
				if !over.Equal(until) {
					t.Errorf("%d nodes, phase %d: the context ended at %v, want its deadline, %v", nodes, phase, over, until)
				}
				if cause := context.Cause(lease.Context()); !errors.Is(cause, core.ErrLost) || !done(lease.Lost()) {
					t.Errorf("%d nodes, phase %d: got the cause %v, want ErrLost", nodes, phase, cause)
				}
				g := <-granted
				if !g.After(over) {
					t.Errorf("%d nodes, phase %d: the next grant came %v before the first one's end", nodes, phase, over.Sub(g))
				}
				if took := g.Sub(at); took > opts.Expiry+time.Second {
					t.Errorf("%d nodes, phase %d: the next grant came %v after the cut, want an expiry, %v", nodes, phase, took, opts.Expiry)
				}
				cut(c.Clients[0], false)
				time.Sleep(10 * time.Second)
			}
			if n := stats.Faults(sim.LinkCut); n != int64(phases*nodes) {
				t.Errorf("%d links were cut, want %d", n, phases*nodes)
			}
			for _, p := range []interface{ Close() error }{a, b} {
				if err := p.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
	}
}

// 6: the signal of a loss comes with the first round that shows it.
func TestPeer06LossIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, sim.Config{Seed: 6, Nodes: 3, Clients: 1}, func(t *testing.T, c *sim.Cluster, _ *sim.Stats) {
		opts := core.Options{Expiry: 30 * time.Second, ExtensionCadence: 4 * time.Second}
		p := simulated(t, c.Clients[0], opts)
		for i := range 8 {
			lease := lock(t, mutex(t, p, "deleted"))
			time.Sleep(time.Duration(i)*time.Second + 500*time.Millisecond)
			for _, n := range c.Nodes[1:] {
				if got, err := n.Command("DEL", "deleted"); got != 1 || err != nil {
					t.Fatalf("DEL: %v, %v", got, err)
				}
			}
			at := time.Now()
			over := <-ended(lease.Context())
			if took := over.Sub(at); took > opts.ExtensionCadence+3*time.Millisecond || !done(lease.Lost()) {
				t.Errorf("Lost closed %v after the majority was gone, want at most a cadence and a round trip", took)
			}
			is(t, "Release", lease.Release(t.Context()), errs{core.ErrLost}, nil)
			time.Sleep(time.Second)
		}
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// 17: an idle held lock sends tens of thousands of commands a second.
func TestPeer17IdleHolder(t *testing.T) {
	t.Parallel()
	inBubble(t, sim.Config{Seed: 17, Nodes: 3, Clients: 2}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		p := simulated(t, c.Clients[0], core.Options{})
		lease := lock(t, mutex(t, p, "idle"))
		time.Sleep(time.Second)
		before := stats.Calls.Load()
		time.Sleep(time.Hour)
		// One call a cadence, 10 s, to each of 3 nodes.
		if calls := stats.Calls.Load() - before; calls < 3*350 || calls > 3*361 {
			t.Errorf("%d calls in an hour, want %d", calls, 3*360)
		}
		if lease.Context().Err() != nil {
			t.Errorf("the lease ended: %v", context.Cause(lease.Context()))
		}
		release(t, lease)
		time.Sleep(time.Minute)
		before = stats.Calls.Load()
		time.Sleep(time.Hour)
		if calls := stats.Calls.Load() - before; calls != 0 {
			t.Errorf("%d calls in the hour after the release, want none", calls)
		}
	})
}

// 20: a waiter gives up before a crashed holder's key can expire; what one call has
// learnt is left for the next.
func TestPeer20CrashedHolder(t *testing.T) {
	t.Parallel()
	for _, expiry := range []time.Duration{8 * time.Second, time.Minute} {
		for _, nodes := range []int{1, 3} {
			inBubble(t, sim.Config{Seed: 20, Nodes: nodes, Clients: 4}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
				opts := core.Options{Expiry: expiry}
				p := simulated(t, c.Clients[3], opts)
				l := mutex(t, p, "crashed") // one object for all of the calls
				for i := range 3 {
					h := simulated(t, c.Clients[i], opts)
					lock(t, mutex(t, h, "crashed"))
					time.Sleep(expiry / 2)
					c.Clients[i].Kill()
					killed := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 2*expiry)
					lease, err := l.Lock(ctx)
					cancel()
					if err != nil {
						t.Fatalf("Lock: %v", err)
					}
					if took := time.Since(killed); took < expiry/3 || took > expiry+time.Second {
						t.Errorf("%v, %d nodes: granted %v after the crash, want what was left of the expiry", expiry, nodes, took)
					}
					release(t, lease)
					time.Sleep(2 * expiry)
				}
				if n := stats.Faults(sim.ClientKilled); n != 3 {
					t.Errorf("%d clients were killed, want 3", n)
				}
				if err := p.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
	}
}

// 24: fencing counters that never expire.
func TestPeer24NothingStays(t *testing.T) {
	t.Parallel()
	inBubble(t, sim.Config{Seed: 24, Nodes: 3, Clients: 2}, func(t *testing.T, c *sim.Cluster, _ *sim.Stats) {
		a, b := simulated(t, c.Clients[0], core.Options{}), simulated(t, c.Clients[1], core.Options{})
		for i := range 50 {
			name := fmt.Sprintf("name %d", i)
			for _, th := range things[:3] {
				first, err := th.make(a, th.name+name)
				if err != nil {
					t.Fatal(err)
				}
				second, err := th.make(b, th.name+name)
				if err != nil {
					t.Fatal(err)
				}
				lease := lock(t, first)
				if i%5 == 0 { // with a queue, and a waiter that leaves it
					_, err := core.Within(second, time.Second).Lock(t.Context())
					is(t, "Lock", err, errs{core.ErrNotAcquired}, nil)
				}
				release(t, lease)
			}
		}
		if n, ok := left(t, c.Nodes[0]).(int); !ok || n < 150 {
			t.Errorf("%d keys on a node, want the counters of 150 names", n)
		}
		time.Sleep(5 * time.Minute)
		for i, n := range c.Nodes {
			if got := left(t, n); got != 0 {
				keys, err := n.Command("KEYS", "*")
				t.Errorf("node %d: %v keys after five minutes, want none: %v, %v", i, got, keys, err)
			}
		}
	})
}

// 26: what is left behind after a release, a failed attempt, a wait, and Close: no call,
// no timer that makes one, no subscription. That no goroutine is left is checked by the
// bubble.
func TestPeer26NothingGoesOn(t *testing.T) {
	t.Parallel()
	for _, closes := range []bool{true, false} {
		inBubble(t, sim.Config{Seed: 26, Nodes: 3, Clients: 2}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
			a, b := simulated(t, c.Clients[0], core.Options{}), simulated(t, c.Clients[1], core.Options{})
			first, second := mutex(t, a, "left"), mutex(t, b, "left")
			lease := lock(t, first)
			_, err := second.TryLock(t.Context())
			is(t, "TryLock", err, errs{core.ErrNotAcquired}, nil)
			_, err = core.Within(second, 5*time.Second).Lock(t.Context())
			is(t, "Lock", err, errs{core.ErrNotAcquired}, nil)
			waited := make(chan *core.Lease)
			go func() {
				l, err := second.Lock(t.Context())
				if err != nil {
					t.Errorf("Lock: %v", err)
				}
				waited <- l
			}()
			time.Sleep(time.Second)
			if c.Nodes[0].Subscriptions() == 0 {
				t.Error("the waiter has no subscription")
			}
			release(t, lease)
			release(t, <-waited)
			c.SetFaults(&sim.Faults{ErrorReply: 1})
			_, err = first.TryLock(t.Context())
			var node *core.NodeError
			if !errors.As(err, &node) {
				t.Errorf("got %v from nodes that fail, want a NodeError", err)
			}
			c.SetFaults(nil)
			if closes {
				held := lock(t, first)
				if err := a.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				is(t, "the cause", context.Cause(held.Context()), errs{core.ErrReleased, core.ErrClosed}, errs{core.ErrLost})
				if err := b.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			time.Sleep(time.Minute)
			before := stats.Calls.Load()
			time.Sleep(24 * time.Hour)
			if calls := stats.Calls.Load() - before; calls != 0 {
				t.Errorf("closes %v: %d calls in a day in which nothing is held, want none", closes, calls)
			}
			for i, n := range c.Nodes {
				if subs := n.Subscriptions(); subs != 0 {
					t.Errorf("closes %v: node %d has %d subscriptions", closes, i, subs)
				}
				if keys := left(t, n); keys != 0 {
					t.Errorf("closes %v: node %d has %v keys", closes, i, keys)
				}
			}
		})
	}
}
