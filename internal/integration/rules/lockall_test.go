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
