package sharing_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

type key struct{}

// sides are all the ways to lock.
func sides(c *clients.Client, name string) map[string]core.Locker {
	return map[string]core.Locker{
		"mutex":     c.Mutex(name + "m"),
		"writer":    c.RWMutex(name + "w"),
		"reader":    c.RWMutex(name + "r").RLocker(),
		"semaphore": c.Semaphore(name+"s", 2).Locker(),
		"within":    core.Within(c.Mutex(name+"x"), time.Minute),
	}
}

func TestDo(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	ctx := context.WithValue(t.Context(), key{}, "value")
	for what, l := range sides(s.Connect(t, nil), name) {
		failure := errors.New("fn's")
		var inner context.Context
		err := core.Do(ctx, l, func(ctx context.Context) error {
			inner = ctx
			lease, ok := core.FromContext(ctx)
			if !ok || lease.Name() != l.Name() || lease.Context().Err() != nil {
				t.Errorf("%s: no live lease in the context", what)
			}
			if got, _ := core.FromContext(lease.Context()); got != lease {
				t.Errorf("%s: the lease is not in its own context", what)
			}
			if ctx.Value(key{}) != "value" || lease.Context().Value(key{}) != "value" {
				t.Errorf("%s: the context's values are missing", what)
			}
			return failure
		})
		if !errors.Is(err, failure) || errors.Is(err, core.ErrLost) {
			t.Errorf("%s: got %v, want fn's error alone", what, err)
		}
		if inner.Err() == nil {
			t.Errorf("%s: fn's context goes on after Do", what)
		}
	}
	if _, ok := core.FromContext(ctx); ok {
		t.Error("a lease in a context that has none")
	}
	s.Clean(t, name)
}

func TestDoReleasesOnPanicAndGoexit(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	for what, l := range sides(s.Connect(t, nil), name) {
		func() {
			defer func() {
				if got := recover(); got != "fn's" {
					t.Errorf("%s: recovered %v, want fn's panic", what, got)
				}
			}()
			_ = core.Do(t.Context(), l, func(context.Context) error { panic("fn's") })
		}()
		clients.Release(t, clients.Take(t, l.TryLock))
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = core.Do(t.Context(), l, func(context.Context) error { runtime.Goexit(); return nil })
		}()
		<-done
		clients.Release(t, clients.Take(t, l.TryLock))
	}
	s.Clean(t, name)
}

func TestDoTellsOfALoss(t *testing.T) {
	t.Parallel() // it waits for most of the time
	s := clients.One(t)
	name := clients.Name(t)
	c := s.Connect(t, brief())
	for what, l := range sides(c, name) {
		failure := errors.New("fn's")
		err := core.Do(t.Context(), l, func(ctx context.Context) error {
			if what == "reader" {
				s.Plain(t)[0].Del(t.Context(), "{"+name+"r}:rw:readers")
			}
			if what == "writer" {
				s.Plain(t)[0].Del(t.Context(), "{"+name+"w}:rw:writer")
			}
			s.Plain(t)[0].Del(t.Context(), l.Name())
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
				t.Errorf("%s: fn's context goes on after the loss", what)
			}
			if cause := context.Cause(ctx); !errors.Is(cause, core.ErrLost) {
				t.Errorf("%s: got the cause %v, want %v", what, cause, core.ErrLost)
			}
			return failure
		})
		if !errors.Is(err, failure) || !errors.Is(err, core.ErrLost) {
			t.Errorf("%s: got %v, want fn's error and %v", what, err, core.ErrLost)
		}
	}
	s.Clean(t, name)
}

// A caller's cancellation reaches fn, not the lease.
func TestDoPassesCancellationOn(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	for what, l := range sides(s.Connect(t, nil), name) {
		ctx, cancel := context.WithCancel(t.Context())
		err := core.Do(ctx, l, func(ctx context.Context) error {
			lease, _ := core.FromContext(ctx)
			cancel()
			<-ctx.Done()
			if lease.Context().Err() != nil {
				t.Errorf("%s: the caller's cancellation ended the lease", what)
			}
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || errors.Is(err, core.ErrLost) {
			t.Errorf("%s: got %v, want %v", what, err, context.Canceled)
		}
		called := false
		err = core.Do(ctx, l, func(context.Context) error { called = true; return nil })
		if called || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: with a context that had ended: called %v, %v", what, called, err)
		}
	}
	s.Clean(t, name) // the release went out although the context had ended
}

func TestWithin(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	held := map[string]*core.Lease{}
	other := s.Connect(t, nil)
	for what, l := range sides(other, name) {
		held[what] = clients.Take(t, l.Lock)
	}
	held["reader"] = swap(t, held["reader"], other.RWMutex(name+"r").Lock)
	second := clients.Take(t, other.Semaphore(name+"s", 2).Acquire)
	for what, l := range sides(s.Connect(t, nil), name) {
		began := time.Now()
		_, err := core.Within(l, time.Second).Lock(t.Context())
		refused(t, what, err)
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took < time.Second || took > 10*time.Second {
			t.Errorf("%s: got %v after %v, want %v after a second", what, err, took, context.DeadlineExceeded)
		}
		_, err = core.Within(l, 0).Lock(t.Context())
		refused(t, what, err)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: a wait of 0: got %v", what, err)
		}
		if _, err = core.Within(l, -1).Lock(t.Context()); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: a negative wait: got %v, want %v", what, err, core.ErrInvalid)
		}
	}
	for _, l := range held {
		clients.Release(t, l)
	}
	clients.Release(t, second)
	s.Clean(t, name)
}

// swap releases a lease and takes another lock.
func swap(t *testing.T, l *core.Lease, lock func(context.Context) (*core.Lease, error)) *core.Lease {
	t.Helper()
	clients.Release(t, l)
	return clients.Take(t, lock)
}
