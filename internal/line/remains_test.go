package line_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A removal that is not answered for longer than the hold lives does not stand for others'
// refusals any more.
func TestRemovalThatIsNeverAnswered(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		l := mutex(t, []*server{s}, nil)
		lease := take(t, l)
		s.on("release", after(0, 5*time.Minute))
		go func() { _ = lease.Release(context.Background()) }()
		time.Sleep(time.Millisecond)
		s.seize(time.Hour)
		_, err := l.TryLock(t.Context())
		var node *core.NodeError
		if errors.Is(err, core.ErrNotAcquired) || !errors.As(err, &node) {
			t.Errorf("got %v, want a NodeError: the removal may not have been served", err)
		}
		if n := l.Removing(); n != 1 {
			t.Errorf("%d removals, want the one that is not answered", n)
		}
		time.Sleep(expiry)
		if _, err := l.TryLock(t.Context()); !errors.Is(err, core.ErrNotAcquired) {
			t.Errorf("got %v, want %v: the hold that is being removed has ended by its TTL", err, core.ErrNotAcquired)
		}
	})
}

// What is being removed is noted no longer than that is tried.
func TestRemovalsEnd(t *testing.T) {
	for name, release := range map[string]handler{"failing": failing, "silent": silent, "served": nil} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ss := servers(3)
				set, err := setOf(ss)
				if err != nil {
					t.Fatal(err)
				}
				l := set.Lock("m", handMade)
				lease := take(t, l)
				ss[0].on("release", release)
				ss[1].on("acquire", after(0, time.Second)) // is under way when its caller leaves
				free(t, lease)
				ss[2].seize(time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if _, err := l.Lock(ctx); err == nil {
					t.Fatal("one of three nodes was free")
				}
				if l.Removing() == 0 {
					t.Error("nothing is being removed")
				}
				time.Sleep(2 * expiry)
				if n := l.Removing(); n != 0 {
					t.Errorf("%d removals are noted when nothing is sent any more", n)
				}
			})
		})
	}
}

// Two of three nodes refuse before the third has been asked, as on a machine that has much
// to do. The attempt is over by then, and what is removed for it must not wait for itself:
// the next caller is told that others have the lock, at once.
func TestRemovalDoesNotWaitForItself(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the calls of an attempt begin one after the other
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		l := mutex(t, ss, nil)
		free(t, take(t, l)) // the nodes are verified
		for _, s := range ss {
			s.seize(time.Hour)
		}
		if _, err := l.TryLock(t.Context()); !errors.Is(err, core.ErrNotAcquired) {
			t.Fatalf("got %v, want %v", err, core.ErrNotAcquired)
		}
		time.Sleep(50 * time.Millisecond)
		if n := l.Removing(); n != 0 {
			t.Errorf("%d removals are under way long after all nodes have refused", n)
		}
		began := time.Now()
		ss[0].on("acquire", failing)
		if _, err := l.TryLock(t.Context()); !errors.Is(err, core.ErrNotAcquired) {
			t.Errorf("got %v, want %v: two of three nodes refuse", err, core.ErrNotAcquired)
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("TryLock took %v", took)
		}
	})
}
