package line_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
)

// room is how many attempts of a set are under way at a time, and how many other calls to
// one node.
const room = 512

// A crowd goes in by the order in which it came, so many at a time, and what it waits for
// is no silence of the node's: three windows are not too long.
func TestCrowdGoesInByOrder(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const count = 5 * room
		m := newMany(window / 3)
		_, locks := crowd(t, count, nil, m)
		var wg sync.WaitGroup
		for _, l := range locks {
			wg.Go(func() {
				lease, err := l.TryLock(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				validUntil(t, lease, time.Now().Add(-2*window/3).Add(worth), "the time before the attempt counted")
				free(t, lease)
			})
			synctest.Wait() // it has come before the next one does
		}
		began := time.Now()
		wg.Wait()
		if took := time.Since(began); took < 3*window {
			t.Errorf("the crowd was through after %v, want a crowd for more than %v", took, 3*window)
		}
		if acquires, releases := m.peak("acquire"), m.peak("release"); acquires != room || releases > room {
			t.Errorf("%d attempts and %d releases were under way at a time, want %d and as many at most", acquires, releases, room)
		}
		for i, batch := range slices.Collect(slices.Chunk(m.asked("acquire"), room)) { // each at one moment
			for _, name := range batch {
				var number int
				if _, err := fmt.Sscan(name, &number); err != nil || number/room != i {
					t.Fatalf("%s went in with the first %d", name, (i+1)*room)
				}
			}
		}
	})
}

// Whoever leaves before anything was sent for him is told of this process, not of a node or
// of others.
func TestWhoDidNotGoInIsToldSo(t *testing.T) {
	virtual(t, func(t *testing.T) {
		m := newMany(window / 3)
		_, locks := crowd(t, room+3, nil, m)
		for _, l := range locks[:room+1] {
			go func() {
				if lease, err := l.TryLock(t.Context()); err != nil {
					t.Error(err)
				} else {
					free(t, lease)
				}
			}()
		}
		synctest.Wait()
		for _, lock := range []func(context.Context) (*core.Lease, error){locks[room+1].TryLock, locks[room+2].Lock} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_, err := lock(ctx)
			var node *core.NodeError
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, core.ErrNotAcquired) || errors.As(err, &node) {
				t.Errorf("got %v, want the context's error alone", err)
			}
			if err != nil && !strings.Contains(err.Error(), fmt.Sprint(room+1, " calls of this process were before it")) {
				t.Errorf("got %q, want it to say how many were before", err)
			}
		}
		time.Sleep(window)
		if n := len(m.asked("acquire")); n != room+1 {
			t.Errorf("%d attempts were made, want %d", n, room+1)
		}
	})
}

func TestCloseEndsTheCrowd(t *testing.T) {
	virtual(t, func(t *testing.T) {
		m := newMany(window / 3)
		set, locks := crowd(t, 2*room, nil, m)
		errs := make(chan error, len(locks))
		for _, l := range locks {
			go func() {
				_, err := l.Lock(t.Context())
				errs <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		if err := set.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for range locks {
			if err := <-errs; !errors.Is(err, core.ErrClosed) {
				t.Fatalf("got %v, want %v", err, core.ErrClosed)
			}
		}
		if took := time.Since(began); took > 2*window {
			t.Errorf("Close took %v", took)
		}
		if n := len(m.asked("acquire")); n != room {
			t.Errorf("%d attempts were made, want %d", n, room)
		}
	})
}

// A node that hangs fails the whole crowd soon: the first wait for it, then it counts as
// failed.
func TestHungNodeFailsTheCrowd(t *testing.T) {
	virtual(t, func(t *testing.T) {
		m := newMany(time.Millisecond)
		_, locks := crowd(t, 4*room, nil, m)
		m.hang(true)
		began := time.Now()
		var wg sync.WaitGroup
		for _, l := range locks {
			wg.Go(func() {
				_, err := l.TryLock(t.Context())
				var node *core.NodeError
				if !errors.As(err, &node) {
					t.Errorf("got %v, want a NodeError", err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took > window+window/8 {
			t.Errorf("the last one was told after %v, want a window at most", took)
		}
	})
}

// A part of a node that hangs, such as a shard of a cluster, fails nobody beside it.
func TestHungPartFailsNoCrowd(t *testing.T) {
	virtual(t, func(t *testing.T) {
		m := newMany(window / 4)
		m.hung = func(name string) bool { return len(name) == 1 } // ten names
		_, locks := crowd(t, 3*room, nil, m)
		m.hang(true)
		var wg sync.WaitGroup
		failed := make(chan string, len(locks))
		for _, l := range locks {
			wg.Go(func() {
				lease, err := l.TryLock(t.Context())
				if err != nil {
					failed <- l.Name()
					return
				}
				free(t, lease)
			})
			synctest.Wait()
		}
		wg.Wait()
		close(failed)
		count := 0
		for name := range failed {
			if count++; len(name) != 1 {
				t.Errorf("%s failed beside those that hang", name)
			}
		}
		if count != 10 {
			t.Errorf("%d failed, want the ten that hang", count)
		}
	})
}

// One node that hangs takes no place of the gate from the others.
func TestHungNodeHoldsUpNoCrowd(t *testing.T) {
	virtual(t, func(t *testing.T) {
		nodes := []*many{newMany(time.Millisecond), newMany(time.Millisecond), newMany(time.Millisecond)}
		_, locks := crowd(t, 2*room, nil, nodes...)
		free(t, take(t, locks[0]))
		nodes[2].hang(true)
		began := time.Now()
		var wg sync.WaitGroup
		for _, l := range locks {
			wg.Go(func() {
				lease, err := l.TryLock(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				free(t, lease)
			})
		}
		wg.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the crowd was through after %v, want a moment", took)
		}
	})
}

// A crowd of releases waits for room, too, and is not failed for that. Who leaves has
// given back all the same.
func TestCrowdOfReleases(t *testing.T) {
	virtual(t, func(t *testing.T) {
		m := newMany(window / 6)
		_, locks := crowd(t, 5*room, nil, m)
		leases := takeAll(t, locks)
		ended, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i, lease := range leases {
			wg.Go(func() {
				ctx := t.Context()
				if i%5 == 0 {
					ctx = ended
				}
				if err := lease.Release(ctx); err != nil && ctx != ended {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		began := time.Now()
		wg.Wait()
		if took := time.Since(began); took < window+window/16 {
			t.Errorf("the crowd was through after %v, want a crowd for more than the window", took)
		}
		time.Sleep(window)
		if n := len(m.asked("release")); n != len(leases) {
			t.Errorf("%d releases were sent, want %d", n, len(leases))
		}
		if most := m.peak("release"); most != room {
			t.Errorf("%d releases were under way at a time, want %d", most, room)
		}
	})
}

// Close goes on as long as it gets on, however many leases there are, and gives up when
// nothing is given back any more.
func TestCloseGoesOn(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		virtual(t, func(t *testing.T) {
			m := newMany(0)
			set, locks := crowd(t, 3*room, nil, m)
			takeAll(t, locks)
			m.slow(window / 4)
			began := time.Now()
			if hangs {
				time.AfterFunc(3*window+window/10, func() { m.hang(true) })
			}
			err := set.Close()
			took := time.Since(began)
			switch {
			case !hangs && (err != nil || took < 2*window || len(m.asked("release")) != len(locks)):
				t.Errorf("got %v after %v and %d releases, want all %d released in more than two windows", err, took, len(m.asked("release")), len(locks))
			case hangs && (err == nil || took < 4*window || took > 5*window):
				t.Errorf("got %v after %v, want an error a window after the last release", err, took)
			}
			if hangs {
				m.hang(false)
			}
		})
	}
}
