package redlock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
)

// failing is a node that answers an acquire with err until it is ready, then grants.
type failing struct {
	ready    time.Time
	err      error
	mu       sync.Mutex
	attempts map[string]bool // by owner
}

func (f *failing) EvalSha(_ context.Context, _ string, keys, args []string) ([]int64, error) {
	f.mu.Lock()
	f.attempts[args[0]] = true
	f.mu.Unlock()
	if time.Now().Before(f.ready) {
		return nil, f.err
	}
	return granting(keys, args)
}

func (f *failing) Eval(ctx context.Context, _ string, keys, args []string) ([]int64, error) {
	return f.EvalSha(ctx, "", keys, args)
}

// count returns how many attempts there have been since the last count.
func (f *failing) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer clear(f.attempts)
	return len(f.attempts)
}

// oneFailing returns a mutex on one node that answers err for so long.
func oneFailing(t *testing.T, err error, outage time.Duration) (*redlock.Mutex, *failing) {
	f := &failing{ready: time.Now().Add(outage), err: err, attempts: map[string]bool{}}
	m, invalid := redlock.NewMutex([]core.Scripter{f}, "x", nil)
	if invalid != nil {
		t.Fatal(invalid)
	}
	return m, f
}

// A call that comes while the nodes do not serve waits for them.
func TestWaitForReadyRidesOut(t *testing.T) {
	for _, passing := range []error{
		errors.New("dial tcp 127.0.0.1:1: connect: connection refused"), errors.New("LOADING Redis is loading the dataset in memory"),
		errors.New("GUARDED the node has been up for less than Options.RestartGuard, 5000 ms are left"), errors.New("MISCONF Errors writing to the AOF file"),
	} {
		synctest.Test(t, func(t *testing.T) {
			const outage = 8 * time.Second
			m, f := oneFailing(t, passing, outage)
			if _, err := m.Lock(t.Context()); !errors.Is(err, passing) {
				t.Errorf("Lock: got %v, want %v", err, passing)
			}
			began := time.Now()
			lease, err := core.Within(core.WaitForReady(m), time.Minute).Lock(t.Context())
			if err != nil {
				t.Fatalf("got %v, want a lease once the node serves", err)
			}
			if took, n := time.Since(began), f.count(); took < outage || took > outage+2*time.Second || n > 30 {
				t.Errorf("it took %v and %d attempts, want no more than 2s after %v, without a storm", took, n, outage)
			}
			if err := lease.Release(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		})
	}
}

// Where the context ends before, the error says what failed and that the time is over.
func TestWaitForReadyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("dial tcp 127.0.0.1:1: connect: connection refused")
		m, f := oneFailing(t, refused, time.Hour)
		_, err := core.Within(core.WaitForReady(m), 5*time.Second).Lock(t.Context())
		var node *core.NodeError
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &node) || !errors.Is(err, refused) || errors.Is(err, core.ErrNotAcquired) {
			t.Errorf("got %v, want a NodeError and %v", err, context.DeadlineExceeded)
		}
		if n := f.count(); n < 5 {
			t.Errorf("got %d attempts, want several: nothing was ridden out", n)
		}
		time.Sleep(time.Minute) // until what is done in the background is done
		f.count()
		if _, err := core.WaitForReady(m).TryLock(t.Context()); !errors.Is(err, refused) || f.count() != 1 {
			t.Errorf("TryLock: got %v, want %v after one attempt", err, refused)
		}
		time.Sleep(time.Hour)
	})
}

// always is a Locker of another module that always fails alike.
type always struct {
	core.Locker
	err   error
	calls int
}

func (a *always) Lock(context.Context) (*core.Lease, error) {
	a.calls++
	return nil, a.err
}

// What no waiting mends is returned at once, and others are not the nodes' failure.
func TestWaitForReadyReturns(t *testing.T) {
	node := func(err error) error { return &core.NodeError{Err: err} }
	for name, err := range map[string]error{
		"others":            core.ErrNotAcquired,
		"others, and nodes": errors.Join(core.ErrNotAcquired, node(errors.New("EOF"))),
		"invalid":           node(core.ErrInvalid),
		"closed":            core.ErrClosed,
		"a closed client":   node(core.ErrClosed),
		"no permission":     node(errors.New("NOPERM this user has no permissions")),
		"a wrong type":      errors.Join(node(errors.New("EOF")), node(errors.New("WRONGTYPE Operation against a key"))),
		"no node's":         errors.New("EOF"),
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &always{err: err}
			if _, got := core.WaitForReady(l).Lock(t.Context()); got != err || l.calls != 1 {
				t.Errorf("%s: got %v after %d calls, want %v after one", name, got, l.calls, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l := &always{err: errors.Join(node(errors.New("EOF")), node(errors.New("NOAUTH Authentication required.")))}
		if _, err := core.WaitForReady(l).Lock(ctx); !errors.Is(err, context.DeadlineExceeded) || l.calls < 2 {
			t.Errorf("got %v after %d calls, want the node that may come back to be waited for: with it alone there may be a majority", err, l.calls)
		}
	})
}

// A lock is the same lock however it is waited for.
func TestWaitForReadyIsTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := redlock.NewMutex([]core.Scripter{granting}, "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		lease, err := core.LockAll(t.Context(), m, core.WaitForReady(m), core.Within(core.WaitForReady(m), time.Second), core.WaitForReady(core.Within(m, time.Second)))
		if err != nil {
			t.Fatal(err)
		}
		for _, member := range lease.Members() {
			if member != lease.Members()[0] {
				t.Error("the lock was taken more than once")
			}
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}
