package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
)

// free is a Locker from elsewhere that is always had.
type free struct {
	name  string
	claim core.Claim
	end   context.CancelCauseFunc // of the last lease
}

func (f *free) Name() string { return f.name }

func (f *free) Lock(ctx context.Context) (lease *core.Lease, err error) {
	if err := core.Deadlock(ctx, f); err != nil {
		return nil, err
	}
	return f.TryLock(ctx)
}

func (f *free) TryLock(ctx context.Context) (lease *core.Lease, err error) {
	c := f.claim
	c.Lock = f
	lease, f.end = core.NewLease(ctx, c)
	return lease, nil
}

func lock(t *testing.T, ctx context.Context, l core.Locker) *core.Lease {
	t.Helper()
	lease, err := l.Lock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func isLost(l *core.Lease) bool {
	select {
	case <-l.Lost():
		return true
	default:
		return false
	}
}

func TestLeaseOfTheZeroClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		lease, _ := core.NewLease(ctx, core.Claim{})
		cancel()
		held := lease.Context()
		if lease.Name() != "" || lease.Token() != 0 || lease.Slot() != -1 || !lease.ValidUntil().IsZero() || lease.Members() != nil {
			t.Errorf("got name %q, token %d, slot %d, deadline %v, want none of them", lease.Name(), lease.Token(), lease.Slot(), lease.ValidUntil())
		}
		if held.Err() != nil || held.Value(key{}) != "value" {
			t.Errorf("the lease's context has ended (%v) with the one given to Lock, or lacks its values", held.Err())
		}
		if from, ok := core.FromContext(held); !ok || from != lease {
			t.Errorf("got the lease %p from its context, want %p", from, lease)
		}
		isLost(lease)
		for range 2 {
			if err := lease.Release(ctx); err != nil {
				t.Errorf("Release: got %v, want none", err)
			}
		}
		synctest.Wait()
		if cause := context.Cause(held); !errors.Is(cause, core.ErrReleased) || isLost(lease) {
			t.Errorf("got the cause %v, lost: %v, want %v", cause, isLost(lease), core.ErrReleased)
		}
	})
}

func TestLossOfABareClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lease, end := core.NewLease(t.Context(), core.Claim{})
		reason := fmt.Errorf("%w: says the test", core.ErrLost)
		end(reason)
		end(core.ErrReleased)
		synctest.Wait()
		if !isLost(lease) || context.Cause(lease.Context()) != reason {
			t.Errorf("got the cause %v, lost: %v, want %v", context.Cause(lease.Context()), isLost(lease), reason)
		}
		if err := lease.Release(t.Context()); err != reason {
			t.Errorf("Release: got %v, want %v", err, reason)
		}
	})
}

// Release of the claim is called once; whoever comes meanwhile, or later, is told what it
// returned.
func TestClaimIsReleasedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, failure := 0, errors.New("failure")
		lease, _ := core.NewLease(t.Context(), core.Claim{Release: func(context.Context) error {
			calls++
			time.Sleep(time.Second)
			return failure
		}})
		errs := make(chan error, 3)
		began := time.Now()
		for range cap(errs) {
			go func() { errs <- lease.Release(t.Context()) }()
		}
		for range cap(errs) {
			if err := <-errs; err != failure || time.Since(began) != time.Second {
				t.Errorf("got %v after %v, want %v after 1s", err, time.Since(began), failure)
			}
		}
		if err := lease.Release(t.Context()); err != failure || calls != 1 {
			t.Errorf("got %v after %d calls, want %v after 1", err, calls, failure)
		}
		if cause := context.Cause(lease.Context()); cause != core.ErrReleased {
			t.Errorf("the claim left the lease alone, and it ended with %v, want %v", cause, core.ErrReleased)
		}
	})
}

// Whoever looks at a lease learns that its deadline has passed.
func TestClaimsDeadline(t *testing.T) {
	looks := map[string]func(l *core.Lease){
		"Context":    func(l *core.Lease) { l.Context() },
		"Lost":       func(l *core.Lease) { l.Lost() },
		"ValidUntil": func(l *core.Lease) { l.ValidUntil() },
		"Release":    func(l *core.Lease) { _ = l.Release(context.Background()) },
	}
	for what, look := range looks {
		var end context.CancelCauseFunc
		deadline := time.Now()
		lease, end := core.NewLease(t.Context(), core.Claim{ValidUntil: func() time.Time {
			end(core.ErrLost)
			return deadline
		}})
		look(lease)
		if cause := context.Cause(lease.Context()); cause != core.ErrLost {
			t.Errorf("%s: got the cause %v, want %v", what, cause, core.ErrLost)
		}
		if got := lease.ValidUntil(); got != deadline {
			t.Errorf("%s: got the deadline %v, want %v", what, got, deadline)
		}
	}
}

// LockAll takes Lockers from elsewhere, whatever they leave out.
func TestLockAllFromElsewhere(t *testing.T) {
	soon, later := time.Now().Add(time.Minute), time.Now().Add(time.Hour)
	until := func(at time.Time) core.Claim { return core.Claim{ValidUntil: func() time.Time { return at }} }
	a, b, c := &free{name: "a"}, &free{name: "b", claim: until(later)}, &free{name: "c", claim: until(soon)}
	lease, err := core.LockAll(t.Context(), c, b, a)
	if err != nil {
		t.Fatal(err)
	}
	if lease.Name() != "c, b, a" || lease.ValidUntil() != soon || lease.Token() != 0 || lease.Slot() != -1 || len(lease.Members()) != 3 {
		t.Errorf("got name %q, deadline %v, token %d, slot %d", lease.Name(), lease.ValidUntil(), lease.Token(), lease.Slot())
	}
	b.end(core.ErrLost)
	if cause := context.Cause(lease.Context()); cause != core.ErrLost {
		t.Errorf("one member is lost, and the cause is %v, want %v", cause, core.ErrLost)
	}
	if err := lease.Release(t.Context()); !errors.Is(err, core.ErrLost) {
		t.Errorf("Release: got %v, want %v", err, core.ErrLost)
	}
	for i, m := range lease.Members() {
		if m.Context().Err() == nil {
			t.Errorf("member %d has not been released", i)
		}
	}
}
