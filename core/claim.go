package core

import (
	"context"
	"errors"
	"time"

	"github.com/redlatch/redlatch/internal/claim"
)

// A Claim is what stands behind a [Lease]. Who writes a [Locker] of its own, or a fake of
// one for a test, fills it in for [NewLease]; who only takes locks has no use for it. The
// zero value will do: a lease of no lock, which is held until it is released or ended. More
// fields may come, and their zero values will do as well: name the fields that are set.
//
// The functions may be called by several goroutines at once.
type Claim struct {
	// Lock is the lock whose lease it is, for [Lease.Name], and for [Deadlock] to know what
	// the lease is in the way of. nil: none; the lease has the name "".
	Lock Locker

	// Token is the fencing token. 0: none.
	Token int64

	// Permit is the number of a semaphore's permit, counted from 1: [Lease.Slot] returns one
	// less. 0: the lock is not a semaphore.
	Permit int

	// Release gives the lock back. It is called at most once, by the first
	// [Lease.Release], whose further calls return what it returned. It ends the lease, with
	// [ErrReleased], before it lets anybody else in; where the lease has not ended when it
	// returns, Lease.Release ends it. Where the lease was lost before, it is called as well,
	// and returns the loss. nil: nothing is to be given back; Lease.Release ends the lease
	// and returns the loss, if there was one, or else nil.
	Release func(ctx context.Context) error

	// ValidUntil returns the deadline, for [Lease.ValidUntil]. It is called whenever
	// somebody looks at the lease, and where the deadline has passed it ends the lease
	// first, with a cause that is [ErrLost]; so a holder learns that from the lease's
	// methods even before a timer has fired. nil: there is no deadline.
	ValidUntil func() time.Time
}

// NewLease returns a lease that is held, and the function that ends it with a cause: one
// that is [ErrLost] where it is lost, and then [Lease.Lost] closes, or [ErrReleased]. Only
// the first call of that function does something. ctx is the one that was given to Lock:
// the lease has its values, and not its end.
func NewLease(ctx context.Context, c Claim) (*Lease, context.CancelCauseFunc) {
	l := &Lease{claim: c}
	l.values = leaseValues{claim.Values{Of: ctx}, l}
	l.ctx, l.end = context.WithCancelCause(&l.values)
	return l, l.end
}

// check ends the lease if its deadline has passed.
func (l *Lease) check() {
	if l.claim.ValidUntil != nil {
		l.claim.ValidUntil()
	}
}

// giveBack is the first Release.
func (l *Lease) giveBack(ctx context.Context) error {
	if l.claim.Release != nil {
		defer l.end(ErrReleased)
		return l.claim.Release(ctx)
	}
	l.check()
	l.end(ErrReleased)
	if cause := context.Cause(l.ctx); !errors.Is(cause, ErrReleased) {
		return cause
	}
	return nil
}
