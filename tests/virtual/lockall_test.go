package virtual_test

import (
	"context"
	"errors"
	"strings"
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
					m := c.Mutex(name)
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
				done := c.Mutex("done, " + names[0])
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
		other := c.Mutex("n")
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
		first := c.Mutex("a")
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
		first := c.Mutex("a")
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

// logged is a Locker of somebody else's around one of this library, and says so.
type logged struct{ core.Locker }

func (l logged) Unwrap() core.Locker { return l.Locker }

// What is named twice is taken once where that is what the lock means, and refused where
// that is not known.
func TestLockAllOfOneTwice(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		foreign := &deaf{c.mutex(), func() {}}
		for _, tt := range []struct {
			name string
			ls   []core.Locker
			ok   bool
		}{
			{"mutex", []core.Locker{c.mutex(), c.mutex()}, true},
			{"mutex, once for a time", []core.Locker{c.mutex(), core.Within(c.mutex(), time.Second)}, true},
			{"mutex, once in a wrapper", []core.Locker{logged{c.mutex()}, c.mutex()}, true},
			{"mutex, in two wrappers", []core.Locker{core.Within(logged{c.mutex()}, time.Second), logged{core.WaitForReady(c.mutex())}}, true},
			{"semaphore, once in a wrapper", []core.Locker{c.semaphore(2).Locker(), logged{c.semaphore(2).Locker()}}, false},
			{"writer", []core.Locker{c.rw(), c.rw()}, true},
			{"reader", []core.Locker{c.rw().RLocker(), c.rw().RLocker()}, true},
			{"both sides", []core.Locker{c.rw(), c.rw().RLocker()}, false},
			{"semaphore", []core.Locker{c.semaphore(2).Locker(), c.semaphore(2).Locker()}, false},
			{"semaphore, once for a time", []core.Locker{c.semaphore(2).Locker(), core.Within(c.semaphore(2).Locker(), time.Second)}, false},
			{"semaphore under two limits", []core.Locker{c.semaphore(2).Locker(), c.semaphore(3).Locker()}, false},
			{"a Locker from elsewhere", []core.Locker{foreign, foreign}, false},
			{"a Locker from elsewhere, once", []core.Locker{foreign}, true},
		} {
			lease, err := core.LockAll(w.Context(), tt.ls...)
			switch {
			case err == nil:
				if ms := lease.Members(); ms[0] != ms[len(ms)-1] {
					w.Errorf("%s: taken twice", tt.name)
				}
				w.free(lease)
				if !tt.ok {
					w.Errorf("%s: taken, want %v", tt.name, core.ErrInvalid)
				}
			case tt.ok:
				w.Errorf("%s: %v", tt.name, err)
			case !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), `"m"`):
				w.Errorf("%s: got %v, want %v that names it", tt.name, err, core.ErrInvalid)
			}
			time.Sleep(near)
		}
		if n, err := c.semaphore(2).Available(w.Context()); n != 2 || err != nil {
			w.Errorf("%d permits are free, %v, want both", n, err)
		}
	})
}

// LockAll's locks share the time of its context: what one has been waited for is no
// longer there for the next.
func TestLockAllSharesTheTime(t *testing.T) {
	const wait, firstFree = 300 * time.Millisecond, 200 * time.Millisecond
	in(t, 3, func(w *world) {
		x, y := w.client(core.Options{}), w.client(core.Options{})
		a, c := w.take(x.RWMutex("a").Lock), w.take(x.RWMutex("c").Lock)
		began := time.Now()
		time.AfterFunc(firstFree, func() { _ = a.Release(w.Context()) })
		ctx, cancel := context.WithTimeout(w.Context(), wait)
		defer cancel()
		b := &telling{Locker: y.RWMutex("b")}
		_, err := core.LockAll(ctx, y.RWMutex("c"), b, y.RWMutex("a"))
		// What was had is given back before it returns, which takes a round trip.
		took := time.Since(began)
		if !errors.Is(err, core.ErrNotAcquired) || !errors.Is(err, context.DeadlineExceeded) || took < wait || took > wait+5*time.Millisecond {
			w.Errorf("got %v after %v, want %v after %v", err, took, context.DeadlineExceeded, wait)
		}
		if b.lease == nil {
			w.Error("the first lock was not had: nothing was waited for twice")
		}
		w.free(c)
		for _, name := range []string{"a", "b", "c"} { // all is given back
			w.free(w.take(x.RWMutex(name).Lock))
		}
	})
}

// telling tells of the lease that a lock gave.
type telling struct {
	core.Locker
	lease *core.Lease
}

func (l *telling) Lock(ctx context.Context) (lease *core.Lease, err error) {
	l.lease, err = l.Locker.Lock(ctx)
	return l.lease, err
}
