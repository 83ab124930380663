package core

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redlatch/redlatch/internal/claim"
)

// A Lease is one acquisition of a lock. It is extended in the background until it is
// released or lost; it needs no goroutine for that. All methods are safe for
// concurrent use.
//
//	held --Release--> released   Context ends, cause ErrReleased
//	held --deadline passed, or a majority of nodes no longer has it--> lost
//	                             Context ends, cause ErrLost; Lost closes
type Lease struct {
	holder  claim.Holder
	values  leaseValues
	ctx     context.Context
	members []*Lease

	once sync.Once
	lost chan struct{} // made by Lost
}

// NewLease returns the lease of a holder, and the function that ends it with a cause.
// It is for the lock packages of this module: its parameter is an internal type.
func NewLease(ctx context.Context, holder claim.Holder) (*Lease, context.CancelCauseFunc) {
	l := &Lease{holder: holder}
	l.values = leaseValues{claim.Values{Of: ctx}, l}
	var end context.CancelCauseFunc
	l.ctx, end = context.WithCancelCause(&l.values)
	return l, end
}

// Context returns a context that ends the moment exclusivity can no longer be
// guaranteed, or on release. context.Cause tells which: it is [ErrLost], with the
// reason, or [ErrReleased]. The context carries the values of the one given to Lock
// and the lease itself ([FromContext]), never that one's cancellation or deadline.
func (l *Lease) Context() context.Context {
	l.holder.Check()
	return l.ctx
}

// Lost returns a channel that is closed when the lease is lost. A release never
// closes it.
func (l *Lease) Lost() <-chan struct{} {
	l.holder.Check()
	l.once.Do(func() {
		l.lost = make(chan struct{})
		closeIfLost := func() {
			if errors.Is(context.Cause(l.ctx), ErrLost) {
				close(l.lost)
			}
		}
		if l.ctx.Err() != nil {
			closeIfLost()
		} else {
			context.AfterFunc(l.ctx, closeIfLost)
		}
	})
	return l.lost
}

// Token returns the fencing token, more than 0 and higher than that of every earlier
// holder of the name; 0 for readers and for [LockAll]. Give it to the resource that
// the lock protects and let it refuse lower ones (Martin Kleppmann, "How to do
// distributed locking", 2016).
func (l *Lease) Token() int64 { return l.holder.Token() }

// Slot returns the number that a semaphore's permit has, from 0 to limit - 1, unique
// among the live holders; -1 for other locks.
func (l *Lease) Slot() int { return l.holder.Slot() }

// Name returns the name of the lock; for [LockAll] the members', joined by ", ".
func (l *Lease) Name() string { return l.holder.Name() }

// ValidUntil returns the current deadline: exclusivity is guaranteed until then, on
// this process's clocks. Only confirmed extensions move it.
func (l *Lease) ValidUntil() time.Time {
	l.holder.Check()
	return l.holder.ValidUntil()
}

// Members returns the leases of [LockAll] in the order of its arguments; nil for
// others.
func (l *Lease) Members() []*Lease { return l.members }

// Release gives the lock back. The claim ends at once, whatever the network does; the
// call returns when a majority of the nodes has confirmed, and goes on with the rest
// in the background. It works with a context that has already ended; one that ends
// meanwhile ends the waiting only. Without an answer it returns after
// Expiry - MinValidity.
//
// It returns an error that is [ErrLost] if the lease had been lost before, and the
// [NodeError] of each failed node, joined, if no majority confirmed: others then wait
// until the hold's TTL has passed, or until a retry in the background gets through.
// Further calls return what the first did.
func (l *Lease) Release(ctx context.Context) error { return l.holder.Release(ctx) }

// FromContext returns the lease that ctx carries: a [Lease.Context], or what [Do]
// gives to its function.
func FromContext(ctx context.Context) (*Lease, bool) {
	l, ok := ctx.Value(leaseKey{}).(*Lease)
	return l, ok
}

type leaseKey struct{}

// leaseValues is a context that never ends, with the values of another and the lease.
type leaseValues struct {
	claim.Values
	lease *Lease
}

func (v *leaseValues) Value(key any) any {
	if key == (leaseKey{}) {
		return v.lease
	}
	return v.Values.Value(key)
}
