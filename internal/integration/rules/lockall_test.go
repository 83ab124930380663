package rules_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// Two callers that name the same locks in another order do not wait for each other.
func TestLockAllCannotDeadlock(t *testing.T) {
	each(t, func(w *world) {
		a, b := w.client(core.Options{}), w.client(core.Options{})
		rounds := func(c *client, names ...string) func(context.Context) (*core.Lease, error) {
			return func(ctx context.Context) (*core.Lease, error) {
				var ls []core.Locker
				for _, name := range names {
					m, err := c.Mutex(name)
					if err != nil {
						return nil, err
					}
					ls = append(ls, m)
				}
				for range 20 {
					lease, err := core.LockAll(ctx, ls...)
					if err != nil {
						return nil, err
					}
					if err := lease.Release(ctx); err != nil {
						return nil, err
					}
				}
				done, err := c.Mutex("done, " + names[0])
				if err != nil {
					return nil, err
				}
				return done.Lock(ctx)
			}
		}
		one, other := w.wait(rounds(a, "x", "y", "z")), w.wait(rounds(b, "z", "y", "x"))
		w.free(one.within(time.Minute, "they wait for each other"), other.within(time.Minute, "they wait for each other"))
	})
}

func TestLockAllsLease(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		other, err := c.Mutex("n")
		if err != nil {
			w.Fatal(err)
		}
		ctx, cancel := context.WithCancel(w.Context())
		lease, err := core.LockAll(ctx, c.mutex(), other)
		if err != nil {
			w.Fatal(err)
		}
		cancel()
		time.Sleep(2 * expiry)
		w.held(lease, "a lease does not end with the context that it was taken with")
		held := lease.Context()
		w.do(w.Nodes[0], "DEL", "m")
		time.Sleep(cadence + near)
		if held.Err() == nil {
			w.Error("nobody asked, and the context has not ended: one member is lost")
		}
		w.lost(lease, "one member is lost")
		w.held(lease.Members()[1], "it is the other that was lost")
		if err := lease.Release(w.Context()); !errors.Is(err, core.ErrLost) {
			w.Errorf("Release: got %v, want %v", err, core.ErrLost)
		}
		time.Sleep(near)
		w.free(w.take(other.TryLock))
	})
}

// deaf is a Locker that does not notice that its context ends. It does something first.
type deaf struct {
	core.Locker
	first func()
}

func (d deaf) Lock(ctx context.Context) (*core.Lease, error) {
	d.first()
	return d.Locker.Lock(context.WithoutCancel(ctx))
}

// A member that is lost when the last one has been had makes LockAll fail.
func TestLockAllLooksBeforeItReturns(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		first, err := c.Mutex("a")
		if err != nil {
			w.Fatal(err)
		}
		last := deaf{c.mutex(), func() {
			w.do(w.Nodes[0], "DEL", "a")
			time.Sleep(cadence + near) // until the extension has found that out
		}}
		lease, err := core.LockAll(w.Context(), last, deaf{first, func() {}}) // wrapped, too: both are of no kind
		if lease != nil || !errors.Is(err, core.ErrLost) {
			w.Errorf("got %v, %v, want no lease and %v", lease, err, core.ErrLost)
		}
		time.Sleep(near)
		w.free(w.take(w.client(core.Options{}).mutex().TryLock), w.take(first.TryLock))
	})
}

// A member that is lost while the others are waited for ends that wait.
func TestLockAllGivesUp(t *testing.T) {
	in(t, 1, func(w *world) {
		busy := w.take(w.client(core.Options{}).mutex().TryLock) // "m"
		c := w.client(core.Options{})
		first, err := c.Mutex("a")
		if err != nil {
			w.Fatal(err)
		}
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		got := make(chan error, 1)
		go func() {
			_, err := core.LockAll(ctx, c.mutex(), first)
			got <- err
		}()
		time.Sleep(2 * expiry)
		if n := w.do(w.Nodes[0], "DEL", "a"); n != 1 {
			w.Errorf("the first lock had %v keys, want 1: then it waits for the second", n)
		}
		select {
		case err := <-got:
			if !errors.Is(err, core.ErrLost) {
				w.Errorf("got %v, want %v", err, core.ErrLost)
			}
		case <-time.After(cadence + near):
			w.Error("it still waits for the second lock, although the first is lost")
		}
		w.held(busy, "it has not ended")
		w.free(busy)
	})
}
