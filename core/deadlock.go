package core

import (
	"context"
	"fmt"

	"github.com/redlatch/redlatch/internal/claim"
)

// WithoutLeases returns a context like ctx that carries no lease: [FromContext] finds none,
// and Lock waits for those that ctx carries. It is for a goroutine that may rightly wait
// for a lease of the code that started it, which goes on and releases that lease without
// waiting for the goroutine. The context still ends as ctx does, so with the lease where
// ctx is that of [Lease.Context] or [Do]: such a goroutine takes
// WithoutLeases(context.WithoutCancel(ctx)).
func WithoutLeases(ctx context.Context) context.Context {
	return context.WithValue(ctx, leaseKey{}, nil)
}

// Deadlock returns an error that is [ErrDeadlock], and names the lock and the lease, if ctx
// carries live leases that keep l from being had; else nil. It is for who writes a [Locker]
// of its own: Lock calls it with itself before it waits, and TryLock, which does not wait,
// does not. What wraps a Locker of this module need not call it, since the Lock underneath
// does.
//
// A lease keeps l from being had if the [Claim] behind it has the same lock: for a lock of
// this module one of the same kind, name and nodes, with regard to readers and to the
// number of permits; for a Locker from elsewhere one that equals it (==). A Locker of which
// several can be held at a time therefore does without Deadlock. Both locks are looked at
// for what they wrap.
func Deadlock(ctx context.Context, l Locker) error {
	lease, ok := FromContext(ctx)
	if !ok || unwrap(l) == nil {
		return nil
	}
	id, permits := identify(l), 0
	for ; ok; lease, ok = FromContext(lease.values.Of) {
		members := lease.members
		if members == nil {
			members = []*Lease{lease}
		}
		for _, m := range members {
			if unwrap(m.claim.Lock) == nil {
				continue
			}
			held := identify(m.claim.Lock)
			if !held.Same(id) || held.Shared && id.Shared || m.Context().Err() != nil {
				continue
			}
			if permits++; permits >= id.Permits {
				return fmt.Errorf("%w: Lock of %s %q would wait for the lease that its context carries, token %d of %s %q: release that first, or see WithoutLeases if another goroutine will",
					ErrDeadlock, side(id), l.Name(), m.Token(), side(held), m.Name())
			}
		}
	}
	return nil
}

// side names the kind of a lock, and which side of it.
func side(id claim.ID) string {
	switch {
	case id.Kind == "":
		return "lock"
	case id.Shared:
		return "the reader side of " + id.Kind
	}
	return id.Kind
}

// deadlock is Deadlock for a member of LockAll. A Locker from elsewhere may be one of which
// several can be held: its Lock knows.
func deadlock(ctx context.Context, l Locker) error {
	for in := l; ; {
		if w, is := in.(within); is && w.wait == 0 { // one attempt does not wait
			return nil
		}
		w, is := in.(wrapper)
		if !is {
			break
		}
		in = w.Unwrap()
	}
	if _, is := unwrap(l).(own); !is {
		return nil
	}
	return Deadlock(ctx, l)
}
