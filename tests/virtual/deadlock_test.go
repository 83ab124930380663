package virtual_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
)

// unwaiting fails the test unless the call says at once that it would wait for itself, and
// names the lock.
func (w *world) unwaiting(what string, ctx context.Context, lock taking, name string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	lease, err := lock(ctx)
	if lease != nil {
		w.free(lease)
	}
	if !errors.Is(err, core.ErrDeadlock) || errors.Is(err, core.ErrNotAcquired) || time.Since(began) != 0 {
		w.Errorf("%s: got %v after %v, want %v at once", what, err, time.Since(began), core.ErrDeadlock)
	} else if !strings.Contains(err.Error(), `"`+name+`"`) || !strings.Contains(err.Error(), "token") || !strings.Contains(err.Error(), "WithoutLeases") {
		w.Errorf("%s: got %q, want it to name the lock, the lease and what to do", what, err)
	}
}

// do is Do as a way to take a lock.
func do(l core.Locker) taking {
	return func(ctx context.Context) (*core.Lease, error) {
		return nil, core.Do(ctx, l, func(context.Context) error { return nil })
	}
}

// all is LockAll as one.
func all(ls ...core.Locker) taking {
	return func(ctx context.Context) (*core.Lease, error) { return core.LockAll(ctx, ls...) }
}

// Whoever would wait for a lease that its context carries is told at once.
func TestDeadlockWithItself(t *testing.T) {
	for _, tt := range []struct {
		name       string
		held, want func(c *client) core.Locker
	}{
		{"mutex", mutex, mutex},
		{"writer under writer", writer, writer},
		{"writer under reader", reader, writer},
		{"reader under writer", writer, reader},
		{"the only permit", permit, permit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, 1, func(w *world) {
				c := w.client(core.Options{})
				want := tt.want(c)
				other := c.Mutex("other")
				lease := w.take(tt.held(c).Lock)
				ctx := lease.Context()
				w.unwaiting("Lock", ctx, want.Lock, "m")
				w.unwaiting("a wrapper", ctx, logged{want}.Lock, "m")
				w.unwaiting("LockAll of a wrapper", ctx, all(other, core.Within(logged{want}, time.Second)), "m")
				w.unwaiting("Within", ctx, core.Within(want, time.Second).Lock, "m")
				w.unwaiting("Do", ctx, do(want), "m")
				w.unwaiting("LockAll", ctx, all(other, want), "m")
				w.unwaiting("a value above the lease", context.WithValue(ctx, new(int), 1), want.Lock, "m")
				inner, err := other.Lock(ctx)
				if err != nil {
					w.Fatal(err)
				}
				w.unwaiting("Lock under another lock's lease", inner.Context(), want.Lock, "m")
				err = core.Do(ctx, core.Within(c.Mutex("third"), time.Second), func(ctx context.Context) error {
					w.unwaiting("Lock in Do of another", ctx, want.Lock, "m")
					return nil
				})
				if err != nil {
					w.Errorf("Do of another lock: %v", err)
				}
				w.refused(func(context.Context) (*core.Lease, error) { return want.TryLock(ctx) }, "TryLock does not wait")
				w.refused(func(context.Context) (*core.Lease, error) { return core.Within(want, 0).Lock(ctx) }, "nor does Within for 0s")
				w.refused(func(context.Context) (*core.Lease, error) { return core.LockAll(ctx, core.Within(want, 0)) }, "nor with others")
				w.free(inner, lease)
				free, err := want.Lock(context.WithoutCancel(ctx))
				if err != nil {
					w.Fatalf("the lease that the context carries was released: %v", err)
				}
				w.free(free)
			})
		})
	}
}

// LockAll's lease stands for each of its members, with whatever it was taken under.
func TestDeadlockWithAMember(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		outer := w.take(c.Mutex("outer").Lock)
		both, err := core.LockAll(outer.Context(), c.mutex(), c.Mutex("second"))
		if err != nil {
			w.Fatal(err)
		}
		for _, name := range []string{"m", "second", "outer"} {
			w.unwaiting(name, both.Context(), c.Mutex(name).Lock, name)
		}
		w.free(both, outer)
	})
}

// A semaphore is waited for in vain only where the context has all permits.
func TestDeadlockWithAllPermits(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		s := c.semaphore(2)
		first := w.take(s.Acquire)
		second, err := s.Acquire(first.Context())
		if err != nil {
			w.Fatalf("one of two permits: %v", err)
		}
		w.unwaiting("Acquire", second.Context(), s.Acquire, "m")
		w.free(first)
		third, err := s.Acquire(second.Context())
		if err != nil {
			w.Fatalf("one of the two was released: %v", err)
		}
		w.free(second, third)
	})
}

// Readers do not keep each other out.
func TestReaderUnderItsOwnReader(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		lease := w.take(c.rw().RLock)
		again, err := c.rw().RLock(lease.Context())
		if err != nil {
			w.Fatal(err)
		}
		w.free(again, lease)
	})
}

// A lease that has been lost keeps nobody out.
func TestNoDeadlockWithALostLease(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		lease := w.take(c.mutex().Lock)
		ctx := lease.Context()
		w.do(w.Nodes[0], "DEL", "m")
		<-ctx.Done()
		again, err := c.mutex().Lock(context.WithoutCancel(ctx))
		if err != nil {
			w.Fatal(err)
		}
		w.free(again)
	})
}

// The same name on the same Scripters is the same lock, whoever made it; on others, or of
// another kind, it is not.
func TestDeadlockIsOfOneLock(t *testing.T) {
	in(t, 3, func(w *world) {
		c := w.client(core.Options{})
		nodes := c.Client.Nodes()
		one, err := redlock.NewMutex(nodes, "m", &core.Options{Now: c.Wall.Now})
		if err != nil {
			w.Fatal(err)
		}
		twin, err := redlock.NewMutex(nodes, "m", &core.Options{Now: c.Wall.Now})
		if err != nil {
			w.Fatal(err)
		}
		elsewhere, err := redlock.NewMutex(nodes, "m", &core.Options{Now: c.Wall.Now, KeyPrefix: "other:"})
		if err != nil {
			w.Fatal(err)
		}
		lease := w.take(one.Lock)
		w.unwaiting("the same Scripters", lease.Context(), twin.Lock, "m")
		for what, lock := range map[string]taking{"another prefix": elsewhere.Lock, "another kind": c.rw().Lock} {
			other, err := lock(lease.Context())
			if err != nil {
				w.Errorf("%s: %v", what, err)
				continue
			}
			w.free(other)
		}
		w.free(lease)
	})
}

// A goroutine that may wait for the lease of who started it drops it from its context,
// which keeps all else.
func TestWithoutLeases(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		type key struct{}
		parent, cancel := context.WithCancel(context.WithValue(w.Context(), key{}, "value"))
		defer cancel()
		err := core.Do(parent, c.mutex(), func(ctx context.Context) error {
			without := core.WithoutLeases(ctx)
			if l, ok := core.FromContext(without); ok || l != nil {
				w.Errorf("FromContext: got %v, want none", l)
			}
			if without.Value(key{}) != "value" {
				w.Error("the value is gone")
			}
			wt := w.wait(func(context.Context) (*core.Lease, error) {
				return c.mutex().Lock(context.WithoutCancel(without))
			})
			w.wait(func(context.Context) (*core.Lease, error) {
				defer func() { w.free(wt.within(near, "the lease that it waits for was released")) }()
				<-ctx.Done()
				return nil, nil
			})
			if wt.in() != nil {
				w.Error("two have the lock")
			}
			cancel()
			if without.Err() == nil {
				w.Error("it does not end with its parent")
			}
			return nil
		})
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(2 * near)
	})
}
