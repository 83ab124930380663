package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// told says what it wraps; silent does not; open cannot be compared with ==.
type (
	told   struct{ core.Locker }
	silent struct{ core.Locker }
	open   struct {
		core.Locker
		_ []int
	}
)

func (l told) Unwrap() core.Locker { return l.Locker }

// A Locker from elsewhere is kept out by a lease of one that equals it, whatever is around
// either.
func TestDeadlockFromElsewhere(t *testing.T) {
	a, b := &free{name: "a", claim: core.Claim{Token: 7}}, &free{name: "a"}
	for _, tt := range []struct {
		name       string
		held, want core.Locker
		deadlock   bool
	}{
		{"itself", a, a, true},
		{"another of that name", a, b, false},
		{"wrapped", a, told{a}, true},
		{"wrapped for a time", a, core.Within(core.WaitForReady(told{a}), time.Second), true},
		{"in a wrapper that does not say so", a, silent{a}, false},
		{"one that cannot be compared", a, open{Locker: a}, false},
		{"none", a, nil, false},
		{"none in a wrapper", a, told{}, false},
	} {
		lease := lock(t, t.Context(), tt.held)
		err := core.Deadlock(lease.Context(), tt.want)
		if errors.Is(err, core.ErrDeadlock) != tt.deadlock || (err == nil) == tt.deadlock {
			t.Errorf("%s: got %v, want a deadlock: %v", tt.name, err, tt.deadlock)
		}
		if err != nil && !strings.Contains(err.Error(), `lock "a" would wait for the lease that its context carries, token 7 of lock "a"`) {
			t.Errorf("%s: got %q, want both named", tt.name, err)
		}
		for what, ctx := range map[string]context.Context{"none": t.Context(), "dropped": core.WithoutLeases(lease.Context())} {
			if err := core.Deadlock(ctx, a); err != nil {
				t.Errorf("a context whose leases are %s: got %v, want none", what, err)
			}
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if err := core.Deadlock(lease.Context(), a); err != nil {
			t.Errorf("the lease was released: got %v, want none", err)
		}
	}
	nameless, _ := core.NewLease(t.Context(), core.Claim{})
	if err := core.Deadlock(nameless.Context(), a); err != nil {
		t.Errorf("a lease of no lock: got %v, want none", err)
	}
}

// What being named twice means for a Locker from elsewhere is not known.
func TestLockAllOfOneFromElsewhereTwice(t *testing.T) {
	a := &free{name: "a"}
	for name, ls := range map[string][]core.Locker{
		"itself":                     {a, a},
		"wrapped":                    {a, told{a}},
		"another of that name":       {a, &free{name: "a"}},
		"ones that are not compared": {open{Locker: a}, open{Locker: a}},
	} {
		if _, err := core.LockAll(t.Context(), ls...); !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%s: got %v, want %v that names it", name, err, core.ErrInvalid)
		}
	}
	for name, none := range map[string]core.Locker{"nil": nil, "a nil pointer": (*free)(nil), "nil in a wrapper": core.Within(told{}, 0)} {
		if _, err := core.LockAll(t.Context(), a, none); !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "lock 1 given to LockAll is nil") {
			t.Errorf("%s: got %v, want %v that names it", name, err, core.ErrInvalid)
		}
	}
}
