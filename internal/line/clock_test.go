package line_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
)

// wall is a wall clock that a test sets.
type wall struct{ ahead atomic.Int64 }

func (w *wall) now() time.Time       { return time.Now().Add(time.Duration(w.ahead.Load())) }
func (w *wall) step(d time.Duration) { w.ahead.Add(int64(d)) }

func (w *wall) options() *core.Options { return &core.Options{Now: w.now} }

// A machine that was suspended: its wall clock has moved, its monotonic clock has not.
func TestWallClockEndsTheLease(t *testing.T) {
	ask := map[string]func(*core.Lease){
		"Context":    func(l *core.Lease) { l.Context() },
		"Lost":       func(l *core.Lease) { l.Lost() },
		"ValidUntil": func(l *core.Lease) { l.ValidUntil() },
	}
	for name, ask := range ask {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				w := &wall{}
				lease := take(t, mutex(t, servers(3), w.options()))
				ctx := lease.Context()
				w.step(worth - 1)
				ask(lease)
				if ctx.Err() != nil {
					t.Fatalf("ended before the deadline: %v", context.Cause(ctx))
				}
				w.step(1)
				ask(lease)
				if !errors.Is(context.Cause(ctx), core.ErrLost) {
					t.Errorf("the cause is %v at the deadline, want %v", context.Cause(ctx), core.ErrLost)
				}
			})
		})
	}
	t.Run("nobody asks", func(t *testing.T) {
		virtual(t, func(t *testing.T) {
			w := &wall{}
			lease := take(t, mutex(t, servers(3), w.options()))
			ctx := lease.Context()
			time.Sleep(5500 * time.Millisecond)
			w.step(expiry)
			stepped := time.Now()
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
				t.Fatal("a minute later the lease is still held")
			}
			if late := time.Since(stepped); late > time.Second {
				t.Errorf("noticed after %v, want at most 1s", late)
			}
		})
	})
}

func TestWallClockSetBackChangesNothing(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := &wall{}
		ss := servers(3)
		lease := take(t, mutex(t, ss, w.options()))
		began := time.Now()
		w.step(-time.Hour)
		validUntil(t, lease, began.Add(worth), "a wall clock that was set back moved it")
		for _, s := range ss {
			s.on("extend", silent)
		}
		lostAt(t, lease, began.Add(worth), "the monotonic clock says so")
	})
}

// The answer to an extension comes when the wall clock has passed the deadline.
func TestLateExtensionDoesNotRevive(t *testing.T) {
	for _, n := range []int{1, 3} {
		virtual(t, func(t *testing.T) {
			w := &wall{}
			ss := servers(n)
			lease := take(t, mutex(t, ss, w.options()))
			ctx := lease.Context()
			for _, s := range ss {
				s.on("extend", after(0, 300*time.Millisecond))
			}
			time.Sleep(cadence + 250*time.Millisecond)
			for i, s := range ss {
				if len(s.seen("extend")) != 1 {
					t.Fatalf("node %d has not been asked", i)
				}
			}
			w.step(worth - cadence) // past the deadline, not past what the answers are worth
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			if !errors.Is(context.Cause(ctx), core.ErrLost) {
				t.Errorf("%d nodes: the cause is %v, want %v: the answers came after the deadline", n, context.Cause(ctx), core.ErrLost)
			}
		})
	}
}

func TestWallClockCountsInTheAttempt(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := &wall{}
		ss := servers(1)
		ss[0].on("acquire", func(c *call) ([]int64, error) {
			defer w.step(10 * time.Second)
			return c.run(), nil
		})
		_, err := mutex(t, ss, w.options()).TryLock(t.Context())
		if err == nil || !strings.Contains(err.Error(), "too late") {
			t.Errorf("got %v, want an error: less than MinValidity is left on the wall clock", err)
		}
		time.Sleep(time.Second)
		if ss[0].holder() != "" {
			t.Error("the hold of the attempt that failed still stands")
		}
	})
}

// A wall clock that was set back still guards the lease: what it said before counts no
// longer once the lease has been extended.
func TestWallClockGuardsAfterItWasSetBack(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := &wall{}
		lease := take(t, mutex(t, servers(3), w.options()))
		w.step(-time.Hour)
		time.Sleep(cadence + time.Second)
		w.step(expiry) // the machine was suspended
		if ctx := lease.Context(); !errors.Is(context.Cause(ctx), core.ErrLost) {
			t.Errorf("the cause is %v, want %v: the wall clock has passed the deadline", context.Cause(ctx), core.ErrLost)
		}
	})
}
