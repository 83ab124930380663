package redlock_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
)

// fake answers every script in the same way.
type fake func(keys, args []string) ([]int64, error)

func (f fake) EvalSha(_ context.Context, _ string, keys, args []string) ([]int64, error) {
	return f(keys, args)
}
func (f fake) Eval(_ context.Context, _ string, keys, args []string) ([]int64, error) {
	return f(keys, args)
}

// Clients report timeouts of their own as context.DeadlineExceeded: rueidis does, and so
// do the dial timeouts of package net.
func TestClientTimeoutIsNotTheCallers(t *testing.T) {
	for _, cause := range []error{context.DeadlineExceeded, context.Canceled} {
		node := fake(func([]string, []string) ([]int64, error) { return nil, fmt.Errorf("dial: %w", cause) })
		m, err := redlock.NewMutex([]core.Scripter{node}, "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Lock(t.Context())
		var failed *core.NodeError
		if !errors.As(err, &failed) || errors.Is(err, cause) {
			t.Errorf("got %v, want a NodeError that is not %v: the caller's context has not ended", err, cause)
		}
	}
}

func TestGrantedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Validity left at the answer: 100 ms less 3 ms of drift less 8 ms, where 90 ms are wanted.
		node := fake(func([]string, []string) ([]int64, error) {
			time.Sleep(8 * time.Millisecond)
			now := time.Now().UnixMicro()
			return []int64{1, now, now, -1, 0}, nil
		})
		m, err := redlock.NewMutex([]core.Scripter{node}, "x", &core.Options{Expiry: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := m.TryLock(t.Context())
		var failed *core.NodeError
		if lease != nil || !errors.As(err, &failed) || errors.Is(err, core.ErrNotAcquired) {
			t.Errorf("got %v, %v, want a NodeError: the node granted too late", lease, err)
		}
		time.Sleep(time.Second) // of virtual time: until what is done in the background is done
	})
}

// Servers that hang must not look like a lock that others have.
func TestContextEndsBeforeAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := fake(func([]string, []string) ([]int64, error) {
			time.Sleep(5 * time.Second) // whatever becomes of the context
			return nil, errors.New("i/o timeout")
		})
		m, err := redlock.NewMutex([]core.Scripter{hung}, "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, lock := range map[string]func(context.Context) (*core.Lease, error){"Lock": m.Lock, "TryLock": m.TryLock} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := lock(ctx)
			cancel()
			var node *core.NodeError
			if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &node) {
				t.Errorf("%s: got %v, want %v and a NodeError: the node has not answered", name, err, context.DeadlineExceeded)
			}
		}
		time.Sleep(time.Minute) // of virtual time: until what is done in the background is done
	})
}

// granting is a node that grants and gives back whatever is asked for.
var granting = fake(func([]string, []string) ([]int64, error) {
	now := time.Now().UnixMicro()
	return []int64{1, now, now, -1, 0}, nil
})

// A nil context panics as everywhere, but does not keep the lease from being released.
func TestReleaseAfterNilContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := redlock.NewMutex([]core.Scripter{granting}, "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		lease, err := m.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("Release with a nil context did not panic")
				}
			}()
			lease.Release(nil) //lint:ignore SA1012 this is what is tested
		}()
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}

// panicking is a Locker that panics.
type panicking struct{ core.Locker }

func (panicking) Name() string                              { return "y" }
func (panicking) Lock(context.Context) (*core.Lease, error) { panic("as told") }

func TestLockAllOutlivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := redlock.NewMutex([]core.Scripter{granting}, "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		kept := &keeping{Locker: m}
		func() {
			defer func() {
				if got := recover(); got != "as told" {
					t.Errorf("got the panic %v, want the Locker's", got)
				}
			}()
			_, _ = core.LockAll(t.Context(), kept, panicking{m})
		}()
		if kept.lease == nil {
			t.Fatal("nothing was taken before the panic")
		}
		if cause := context.Cause(kept.lease.Context()); !errors.Is(cause, core.ErrReleased) {
			t.Errorf("the lease that was taken before the panic ended with %v, want %v", cause, core.ErrReleased)
		}
		time.Sleep(time.Minute)
	})
}

// keeping keeps the lease that it returns.
type keeping struct {
	core.Locker
	lease *core.Lease
}

func (k *keeping) Lock(ctx context.Context) (lease *core.Lease, err error) {
	k.lease, err = k.Locker.Lock(ctx)
	return k.lease, err
}

// No lock where one is wanted is an error that says which, not a panic.
func TestLockAllOfNothing(t *testing.T) {
	m, err := redlock.NewMutex([]core.Scripter{&unused{t: t}}, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range []core.Locker{
		nil, (*redlock.Mutex)(nil), (*redlock.RWMutex)(nil), core.Within(nil, time.Second), core.Within((*redlock.Mutex)(nil), 0),
		core.WaitForReady(nil), core.Within(core.WaitForReady((*redlock.Mutex)(nil)), 0),
	} {
		lease, err := core.LockAll(t.Context(), m, none)
		if lease != nil || !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "lock 1 ") {
			t.Errorf("%#v: got %v, %v, want %v that names lock 1", none, lease, err, core.ErrInvalid)
		}
	}
	for _, no := range []core.Locker{m, uncomparable{m, nil}, wrapper{uncomparable{m, nil}}} {
		if _, err := core.LockAll(ended(t), no); !errors.Is(err, context.Canceled) {
			t.Errorf("%T: got %v, want %v", no, err, context.Canceled)
		}
	}
}

// uncomparable is a Locker that cannot be compared, wrapper one that may hold such a one.
type (
	uncomparable struct {
		core.Locker
		_ []int
	}
	wrapper struct{ core.Locker }
)

// ended returns a context that has been cancelled.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// A cadence that is as short as it may be.
func TestCadenceOfANanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := fake(func([]string, []string) ([]int64, error) { return []int64{1, 0, 1, -1, 0}, nil })
		m, err := redlock.NewMutex([]core.Scripter{node}, "x", &core.Options{ExtensionCadence: 1})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := m.TryLock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}
