package virtual_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// late delays the calls of a verb, as many as are left, on the way to a node, or on the
// way back.
type late struct {
	verb string
	node int // -1: to each
	by   time.Duration
	back bool
	left atomic.Int64
}

// tap puts l before a link.
func (l *late) tap(t *tap) {
	next := t.call
	if next == nil {
		next = func(_ string, pass func() ([]int64, error)) ([]int64, error) { return pass() }
	}
	t.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
		if verb != l.verb || l.node >= 0 && t.node.Index != l.node || l.left.Add(-1) < 0 {
			return next(verb, pass)
		}
		if l.back {
			defer time.Sleep(l.by)
		} else {
			time.Sleep(l.by)
		}
		return next(verb, pass)
	}
}

// A way is what takes a lock, and what the same process takes next; full keeps both out.
type way struct {
	name              string
	first, next, full func(c *client) core.Locker
}

var (
	mutex  = func(c *client) core.Locker { return c.mutex() }
	writer = func(c *client) core.Locker { return c.rw() }
	reader = func(c *client) core.Locker { return c.rw().RLocker() }
	permit = func(c *client) core.Locker { return c.semaphore(1).Locker() }
	double = func(c *client) core.Locker { return c.semaphore(2).Locker() }
)

var ways = []way{
	{"mutex", mutex, mutex, mutex},
	{"writer", writer, writer, writer},
	{"reader after writer", writer, reader, writer},
	{"writer after reader", reader, writer, writer},
	{"permit", permit, permit, permit},
	{"permit under another limit", permit, double, permit},
}

// eachWay runs a test with each of them, on one node and on three.
func eachWay(t *testing.T, test func(w *world, by way)) {
	for _, by := range ways {
		t.Run(by.name, func(t *testing.T) {
			each(t, func(w *world) { test(w, by) })
		})
	}
}

// What an attempt had when its caller left is removed in the background. The next call of
// this process, which comes before the removal, waits for it a moment.
func TestUndoIsNotOthers(t *testing.T) {
	eachWay(t, func(w *world, by way) {
		undo := &late{verb: "release", node: -1, by: 2 * time.Millisecond}
		slow := &late{verb: "acquire", node: -1, by: 3 * time.Millisecond, back: true}
		c := w.client(core.Options{}, func(t *tap) { undo.tap(t); slow.tap(t) })
		undo.left.Store(100)
		slow.left.Store(int64(len(w.Nodes)))
		ctx, cancel := context.WithTimeout(w.Context(), 2500*time.Microsecond) // it has been served
		defer cancel()
		if _, err := by.first(c).Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			w.Fatalf("got %v, want %v: the caller leaves while the call is under way", err, context.DeadlineExceeded)
		}
		lease, err := by.next(c).TryLock(w.Context())
		if err != nil {
			w.Fatalf("nobody else is there: %v", err)
		}
		if undo.left.Load() == 100 {
			w.Error("nothing was removed")
		}
		w.free(lease)
	})
}

// A waiter that leaves is taken out of the line in the background, and stops nobody of this
// process meanwhile.
func TestWithdrawalIsNotOthers(t *testing.T) {
	eachWay(t, func(w *world, by way) {
		other := w.client(core.Options{})
		held, err := by.full(other).TryLock(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(near)
		withdrawal := &late{verb: "release", node: -1, by: 8 * time.Millisecond}
		c := w.client(core.Options{}, withdrawal.tap)
		ctx, leave := context.WithCancel(w.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := by.first(c).Lock(ctx)
			gone <- err
		}()
		time.Sleep(near)
		withdrawal.left.Store(100)
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			w.Fatalf("got %v, want %v", err, context.Canceled)
		}
		if err := held.Release(w.Context()); err != nil {
			w.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
		lease, err := by.next(c).TryLock(w.Context())
		if err != nil {
			w.Fatalf("nobody else is there: %v", err)
		}
		if withdrawal.left.Load() == 100 {
			w.Error("no ticket was withdrawn")
		}
		w.free(lease)
	})
}

// A release that returned at a majority is on its way to the other nodes: where one of the
// majority fails then, the next acquire needs a node that still has it.
func TestReleaseOnItsWayIsNotOthers(t *testing.T) {
	in(t, 3, func(w *world) {
		release := &late{verb: "release", node: 2, by: 5 * time.Millisecond}
		c := w.client(core.Options{}, func(t *tap) {
			release.tap(t)
			next := t.call
			t.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				if t.node.Index == 1 && verb == "acquire" && release.left.Load() < 100 && release.left.Load() > 0 {
					return nil, errors.New("connection refused")
				}
				return next(verb, pass)
			}
		})
		release.left.Store(0)
		lease := w.take(c.mutex().TryLock)
		release.left.Store(100)
		if err := lease.Release(w.Context()); err != nil {
			w.Fatal(err)
		}
		if w.do(w.Nodes[2], "EXISTS", "m") != 1 || release.left.Load() != 99 {
			w.Fatal("the release has been served on node 2, where it is on its way")
		}
		lease, err := c.mutex().TryLock(w.Context())
		if err != nil {
			w.Fatalf("nobody else is there: %v", err)
		}
		w.free(lease)
	})
}

// While the removal is not confirmed for a second, a refusal says nothing of others: TryLock
// tells of the node, and Lock waits.
func TestRemovalThatIsNotConfirmed(t *testing.T) {
	for _, by := range ways {
		t.Run(by.name, func(t *testing.T) {
			in(t, 1, func(w *world) {
				release := &late{verb: "release", node: -1, by: 2 * time.Second}
				release.left.Store(1)
				c := w.client(core.Options{}, release.tap)
				lease, err := by.first(c).TryLock(w.Context())
				if err != nil {
					w.Fatal(err)
				}
				began := time.Now()
				go func() { _ = lease.Release(w.Context()) }()
				time.Sleep(near)
				_, err = by.next(c).TryLock(w.Context())
				var node *core.NodeError
				if errors.Is(err, core.ErrNotAcquired) || !errors.As(err, &node) {
					w.Fatalf("got %v, want a NodeError: nobody else is there, and the removal is on its way", err)
				}
				if took := time.Since(began); took > time.Second+10*near {
					w.Errorf("TryLock took %v, want a second and some round trips at most", took-near)
				}
				lease, err = by.next(c).Lock(w.Context())
				if err != nil {
					w.Fatalf("Lock does not wait for the removal: %v", err)
				}
				w.free(lease)
			})
		})
	}
}

// Who was there before the removal refuses for certain when it has been confirmed.
func TestOthersBesideRemains(t *testing.T) {
	for _, by := range ways[:5] {
		t.Run(by.name, func(t *testing.T) {
			in(t, 1, func(w *world) {
				release := &late{verb: "release", node: -1, by: 5 * time.Millisecond}
				c := w.client(core.Options{}, release.tap)
				mine := w.take(by.full(c).TryLock)
				next := w.wait(by.full(w.client(core.Options{})).Lock)
				release.left.Store(1)
				go func() { _ = mine.Release(w.Context()) }()
				time.Sleep(time.Millisecond)
				w.refused(by.next(c).TryLock, "others wait")
				if release.left.Load() > 0 {
					w.Error("nothing was removed")
				}
				w.free(next.within(near, "nobody has it any more"))
			})
		})
	}
}

// One process that locks and unlocks one name on five nodes is in nobody's way, also where
// its releases are slow on the way to the node whose line gives the order: where there was
// a line once, there is none a second later.
func TestAloneOnFiveNodes(t *testing.T) {
	in(t, 5, func(w *world) {
		var tickets atomic.Int64
		release := &late{verb: "release", node: 0, by: 3 * time.Millisecond}
		release.left.Store(1 << 40)
		c := w.client(core.Options{}, func(t *tap) {
			release.tap(t)
			t.args = func(verb string, args []string) {
				if verb == "acquire" && len(args) > 7 {
					tickets.Add(1)
				}
			}
		})
		pair := func() {
			lease, err := c.mutex().Lock(w.Context())
			if err != nil {
				w.Fatal(err)
			}
			if err := lease.Release(w.Context()); err != nil {
				w.Fatal(err)
			}
		}
		busy := w.take(w.client(core.Options{}).mutex().TryLock)
		first := w.wait(c.mutex().Lock)
		w.free(busy)
		w.free(first.within(time.Second, "the lock is free"))
		for began := time.Now(); time.Since(began) < 1500*time.Millisecond; {
			pair()
		}
		if tickets.Load() == 0 {
			w.Error("nobody stood in line")
		}
		tickets.Store(0)
		began := time.Now()
		const pairs = 1000
		for range pairs {
			pair()
		}
		if n := tickets.Load(); n != 0 {
			w.Errorf("%d calls had a ticket in %d pairs, want none", n, pairs)
		}
		if took := time.Since(began) / pairs; took > 6*time.Millisecond {
			w.Errorf("a pair took %v, want the release's way to the first node and some round trips", took)
		}
	})
}
