package virtual_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/sim"
)

// 5, 6: a holder is cut off: the next one is granted before the first one's context has
// ended, or the first one learns of it on some later tick.
func TestPeer05Partition(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		in(t, nodes, func(w *world) {
			opts := core.Options{Expiry: 5 * time.Second}
			a, b := w.client(opts), w.client(opts)
			const phases = 40
			for phase := range phases {
				lease := w.take(a.mutex().Lock)
				granted := make(chan time.Time, 1)
				go func() {
					other, err := b.mutex().Lock(w.Context())
					granted <- time.Now()
					if err != nil {
						w.Errorf("Lock: %v", err)
						return
					}
					w.free(other)
				}()
				// In the midst of the extensions, too, whose round trips take up to 2 ms.
				time.Sleep(time.Duration(phase)*opts.Expiry/phases + time.Duration(phase%8)*250*time.Microsecond)
				a.cut(true)
				at := time.Now()
				synctest.Wait()
				until := lease.ValidUntil()
				over := <-ended(lease.Context())
				if !over.Equal(until) {
					w.Errorf("%d nodes, phase %d: the context ended at %v, want its deadline, %v", nodes, phase, over, until)
				}
				if cause := context.Cause(lease.Context()); !errors.Is(cause, core.ErrLost) || !closed(lease.Lost()) {
					w.Errorf("%d nodes, phase %d: got the cause %v, want ErrLost", nodes, phase, cause)
				}
				g := <-granted
				if !g.After(over) {
					w.Errorf("%d nodes, phase %d: the next grant came %v before the first one's end", nodes, phase, over.Sub(g))
				}
				if took := g.Sub(at); took > opts.Expiry+time.Second {
					w.Errorf("%d nodes, phase %d: the next grant came %v after the cut, want an expiry, %v", nodes, phase, took, opts.Expiry)
				}
				a.cut(false)
				time.Sleep(10 * time.Second)
			}
			if n := w.stats.Faults(sim.LinkCut); n != int64(phases*nodes) {
				w.Errorf("%d links were cut, want %d", n, phases*nodes)
			}
			w.close(a, b)
		})
	}
}

// 6: the signal of a loss comes with the first round that shows it.
func TestPeer06LossIsSeenAtOnce(t *testing.T) {
	in(t, 3, func(w *world) {
		opts := core.Options{Expiry: 30 * time.Second, ExtensionCadence: 4 * time.Second}
		c := w.client(opts)
		for i := range 8 {
			lease := w.take(c.mutex().Lock)
			time.Sleep(time.Duration(i)*time.Second + 500*time.Millisecond)
			for _, n := range w.Nodes[1:] {
				if got := w.do(n, "DEL", "m"); got != 1 {
					w.Fatalf("DEL: %v", got)
				}
			}
			at := time.Now()
			over := <-ended(lease.Context())
			if took := over.Sub(at); took > opts.ExtensionCadence+3*time.Millisecond || !closed(lease.Lost()) {
				w.Errorf("Lost closed %v after the majority was gone, want at most a cadence and a round trip", took)
			}
			if err := lease.Release(w.Context()); !errors.Is(err, core.ErrLost) {
				w.Errorf("Release: got %v, want %v", err, core.ErrLost)
			}
			time.Sleep(time.Second)
		}
		w.close(c)
	})
}

// 17: an idle held lock sends tens of thousands of commands a second. One costs one command
// for each node and cadence.
func TestPeer17IdleLeaseCostsOneCommandPerCadence(t *testing.T) {
	for _, nodes := range []int{1, 3, 5} {
		in(t, nodes, func(w *world) {
			c := w.client(core.Options{})
			for _, l := range []core.Locker{c.mutex(), c.rw(), c.rw().RLocker()} {
				lease := w.take(l.Lock)
				const cadences = 60
				time.Sleep(15 * time.Second) // the first sends the script as source
				before := w.stats.Calls.Load()
				time.Sleep(cadences * cadence)
				if got := w.stats.Calls.Load() - before; got != int64(cadences*nodes) {
					w.Errorf("%T on %d nodes: got %d commands in %d cadences, want exactly %d", l, nodes, got, cadences, cadences*nodes)
				}
				w.free(lease)
			}
		})
	}
}

// 20: a waiter gives up before a crashed holder's key can expire; what one call has
// learnt is left for the next.
func TestPeer20CrashedHolder(t *testing.T) {
	for _, expiry := range []time.Duration{8 * time.Second, time.Minute} {
		for _, nodes := range []int{1, 3} {
			in(t, nodes, func(w *world) {
				opts := core.Options{Expiry: expiry}
				c := w.client(opts)
				l := c.mutex() // one object for all of the calls
				for range 3 {
					h := w.client(opts)
					w.take(h.mutex().Lock)
					time.Sleep(expiry / 2)
					h.Kill()
					killed := time.Now()
					ctx, cancel := context.WithTimeout(w.Context(), 2*expiry)
					lease, err := l.Lock(ctx)
					cancel()
					if err != nil {
						w.Fatalf("Lock: %v", err)
					}
					if took := time.Since(killed); took < expiry/3 || took > expiry+time.Second {
						w.Errorf("%v, %d nodes: granted %v after the crash, want what was left of the expiry", expiry, nodes, took)
					}
					w.free(lease)
					time.Sleep(2 * expiry)
				}
				if n := w.stats.Faults(sim.ClientKilled); n != 3 {
					w.Errorf("%d clients were killed, want 3", n)
				}
				w.close(c)
			})
		}
	}
}

// 24: fencing counters that never expire.
func TestPeer24NothingStays(t *testing.T) {
	in(t, 3, func(w *world) {
		a, b := w.client(core.Options{}), w.client(core.Options{})
		kinds := []func(c *client, name string) core.Locker{
			func(c *client, name string) core.Locker { return c.Mutex("mutex" + name) },
			func(c *client, name string) core.Locker { return c.RWMutex("writer" + name) },
			func(c *client, name string) core.Locker {
				s, err := c.Semaphore("semaphore"+name, 1)
				if err != nil {
					w.Fatal(err)
				}
				return s.Locker()
			},
		}
		for i := range 50 {
			name := fmt.Sprintf(" %d", i)
			for _, kind := range kinds {
				lease := w.take(kind(a, name).Lock)
				if i%5 == 0 { // with a queue, and a waiter that leaves it
					w.refused(core.Within(kind(b, name), time.Second).Lock, "it is held")
				}
				w.free(lease)
			}
		}
		if n := len(w.keys(w.Nodes[0])); n < 150 {
			w.Errorf("%d keys on a node, want the counters of 150 names", n)
		}
		time.Sleep(5 * time.Minute)
		for i, n := range w.Nodes {
			if keys := w.keys(n); len(keys) != 0 {
				w.Errorf("node %d: %q after five minutes, want none", i, keys)
			}
		}
	})
}

// 26: what is left behind after a release, a failed attempt, a wait, and Close: no call,
// no timer that makes one, no subscription. That no goroutine is left is checked by the
// bubble.
func TestPeer26NothingGoesOn(t *testing.T) {
	for _, closes := range []bool{true, false} {
		in(t, 3, func(w *world) {
			a, b := w.client(core.Options{}), w.client(core.Options{})
			first, second := a.mutex(), b.mutex()
			lease := w.take(first.Lock)
			w.refused(second.TryLock, "it is held")
			w.refused(core.Within(second, 5*time.Second).Lock, "it is held for longer")
			waiter := w.wait(second.Lock)
			time.Sleep(time.Second)
			if w.Nodes[0].Subscriptions() == 0 {
				w.Error("the waiter has no subscription")
			}
			w.free(lease)
			w.free(waiter.within(near, "it was called"))
			w.SetFaults(&sim.Faults{ErrorReply: 1})
			_, err := first.TryLock(w.Context())
			var node *core.NodeError
			if !errors.As(err, &node) {
				w.Errorf("got %v from nodes that fail, want a NodeError", err)
			}
			w.SetFaults(nil)
			if closes {
				held := w.take(first.Lock)
				w.close(a, b)
				if cause := context.Cause(held.Context()); !errors.Is(cause, core.ErrReleased) || !errors.Is(cause, core.ErrClosed) || errors.Is(cause, core.ErrLost) {
					w.Errorf("got the cause %v, want %v and %v", cause, core.ErrReleased, core.ErrClosed)
				}
			}
			time.Sleep(time.Minute)
			before := w.stats.Calls.Load()
			time.Sleep(24 * time.Hour)
			if calls := w.stats.Calls.Load() - before; calls != 0 {
				w.Errorf("closes %v: %d calls in a day in which nothing is held, want none", closes, calls)
			}
			for i, n := range w.Nodes {
				if subs := n.Subscriptions(); subs != 0 {
					w.Errorf("closes %v: node %d has %d subscriptions", closes, i, subs)
				}
				if keys := w.keys(n); len(keys) != 0 {
					w.Errorf("closes %v: node %d has %q", closes, i, keys)
				}
			}
		})
	}
}

// cut cuts or mends all links of a client.
func (c *client) cut(off bool) {
	for i := range c.Nodes() {
		c.Link(i).Cut(off)
	}
}

// close closes clients' providers, which must go well.
func (w *world) close(cs ...*client) {
	w.Helper()
	for _, c := range cs {
		if err := c.Close(); err != nil {
			w.Errorf("Close: %v", err)
		}
	}
}

// ended returns a channel that gets the moment at which ctx ends.
func ended(ctx context.Context) <-chan time.Time {
	at := make(chan time.Time, 1)
	go func() {
		<-ctx.Done()
		at <- time.Now()
	}()
	return at
}

// closed reports whether ch is closed.
func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
