package virtual_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// The tests of what docs/operations.md says.

// An operator deletes the key of a lock that is held: the next one has the lock at once, and
// the old holder is told at its next extension, so that two hold for up to a cadence.
func TestForcedUnlock(t *testing.T) {
	each(t, func(w *world) {
		for what, lock := range map[string]struct {
			key       string
			old, next func(c *client) core.Locker
		}{
			"mutex": {"m", func(c *client) core.Locker { return c.mutex() }, func(c *client) core.Locker { return c.mutex() }},
			"readers": {"{m}:rw:readers", func(c *client) core.Locker { return c.rw().RLocker() },
				func(c *client) core.Locker { return c.rw() }},
			"permits": {"m", func(c *client) core.Locker { return c.semaphore(1).Locker() },
				func(c *client) core.Locker { return c.semaphore(1).Locker() }},
		} {
			a, b := w.client(core.Options{}), w.client(core.Options{})
			old := w.take(lock.old(a).Lock)
			waiter := w.wait(lock.next(b).Lock)
			time.Sleep(cadence / 2) // the middle between two extensions
			forced := time.Now()
			for _, n := range w.Nodes {
				w.do(n, "DEL", lock.key)
			}
			next := waiter.within(time.Second, what+": the key has been deleted")
			w.held(old, what+": its holder is told at its next extension, and there has been none")
			<-old.Lost()
			if took := time.Since(forced); took < cadence/5 || took > cadence { // the first extension is up to a quarter of a cadence early
				w.Errorf("%s: two held for %v, want the rest of a cadence of %v", what, took, cadence)
			}
			w.lost(old, what+": its key has been deleted")
			w.held(next, what+": it came after the deletion")
			w.free(next)
		}
	})
}

// An operator puts another value in the place of the holder's, for one Expiry: the holder is
// told at its next extension, and nobody else comes before the value has ended.
func TestForcedUnlockWithoutTwoHolders(t *testing.T) {
	each(t, func(w *world) {
		for what, lock := range map[string]struct {
			key string
			of  func(c *client) core.Locker
		}{
			"mutex":  {"m", func(c *client) core.Locker { return c.mutex() }},
			"writer": {"{m}:rw:writer", func(c *client) core.Locker { return c.rw() }},
		} {
			a, b := w.client(core.Options{}), w.client(core.Options{})
			set := func() {
				for _, n := range w.Nodes {
					w.do(n, "SET", lock.key, "operator", "XX", "PX", "30000")
				}
			}
			set() // nobody holds: nothing happens
			old := w.take(lock.of(a).Lock)
			waiter := w.wait(lock.of(b).Lock)
			time.Sleep(cadence / 2)
			set()
			<-old.Lost()
			if waiter.in() != nil {
				w.Errorf("%s: two hold", what)
			}
			next := waiter.within(expiry, "the operator's value has ended")
			if next.Token() <= old.Token() {
				w.Errorf("%s: token %d came after %d", what, next.Token(), old.Token())
			}
			w.free(next)
		}
	})
}

// A holder that hangs is extended for ever. One that works under a deadline of its own lets
// go, if it looks; a timer that releases lets go also for one that does not look.
func TestHolderThatHangs(t *testing.T) {
	in(t, 1, func(w *world) {
		a, b := w.client(core.Options{}), w.client(core.Options{})
		lease := w.take(a.mutex().Lock) // and it does nothing
		time.Sleep(1000 * expiry)
		w.held(lease, "nothing ends it")
		w.refused(b.mutex().TryLock, "the holder hangs")
		w.free(lease)

		ctx, cancel := context.WithTimeout(w.Context(), 2*expiry)
		defer cancel()
		err := core.Do(ctx, a.mutex(), func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, core.ErrLost) {
			w.Errorf("got %v, want that the work's deadline has passed", err)
		}
		w.free(w.take(b.mutex().TryLock))

		lease = w.take(a.mutex().Lock)
		time.AfterFunc(2*expiry, func() { _ = lease.Release(context.Background()) })
		next := w.wait(b.mutex().Lock).within(2*expiry+time.Second, "the timer has released the lock")
		if cause := context.Cause(lease.Context()); !errors.Is(cause, core.ErrReleased) {
			w.Errorf("the work's context ended with %v, want %v", cause, core.ErrReleased)
		}
		w.free(next)
	})
}

// While an instance with the old limit holds or waits, one with the new limit is told so at
// once; and the other way round.
func TestLimitThatChangesWhileInstancesRun(t *testing.T) {
	in(t, 1, func(w *world) {
		old, young := w.client(core.Options{}), w.client(core.Options{})
		refused := func(c *client, limit int, limits ...string) {
			t.Helper()
			_, err := c.semaphore(limit).Acquire(w.Context())
			if !errors.Is(err, core.ErrInvalid) || errors.Is(err, core.ErrNotAcquired) {
				w.Errorf("got %v, want %v", err, core.ErrInvalid)
			}
			for _, l := range limits {
				if err != nil && !strings.Contains(err.Error(), l) {
					w.Errorf("%v does not name the limit %s", err, l)
				}
			}
		}
		first, second := w.take(old.semaphore(2).Acquire), w.take(old.semaphore(2).Acquire)
		refused(young, 3, "2", "3")
		waiter := w.wait(old.semaphore(2).Acquire)
		w.free(first, second)
		refused(young, 3)
		w.free(waiter.within(time.Second, "there is room"))
		lease := w.take(young.semaphore(3).Acquire)
		refused(old, 2, "2", "3")
		w.free(lease)
		w.free(w.take(old.semaphore(2).Acquire))
	})
}

// Two schedulers start one job at one time, by clocks that differ by more than the job takes:
// both run it, unless who has run it keeps the lease for as long as the clocks may differ.
func TestJobShorterThanTheSchedulersSkew(t *testing.T) {
	each(t, func(w *world) {
		const skew, job = 2 * time.Second, 100 * time.Millisecond
		runs := func(keep time.Duration) (ran int) {
			for _, c := range []*client{w.client(core.Options{}), w.client(core.Options{})} {
				lease, err := c.mutex().TryLock(w.Context())
				if err == nil {
					ran++
					time.AfterFunc(max(job, keep), func() { _ = lease.Release(context.Background()) })
				} else if !errors.Is(err, core.ErrNotAcquired) {
					w.Error(err)
				}
				time.Sleep(skew)
			}
			time.Sleep(skew)
			return ran
		}
		if got := runs(0); got != 2 {
			w.Errorf("released after the work: the job ran %d times, want the 2 that this is about", got)
		}
		if got := runs(skew + near); got != 1 {
			w.Errorf("kept for as long as the clocks differ: the job ran %d times, want 1", got)
		}
	})
}
