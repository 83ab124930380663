package core

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redlatch/redlatch/internal/claim"
)

// A Lease is one acquisition of a lock. It is extended in the background until it is
// released or lost; it needs no goroutine for that. All methods are safe for
// concurrent use. Of leases that somebody else's [Locker] has made, by [NewLease], what is
// said here of nodes and extension is not known.
//
//	held --Release--> released   Context ends, cause ErrReleased
//	held --deadline passed, or a majority of nodes no longer has it--> lost
//	                             Context ends, cause ErrLost; Lost closes
type Lease struct {
	claim   Claim
	values  leaseValues
	ctx     context.Context
	end     context.CancelCauseFunc
	members []*Lease

	once sync.Once
	lost chan struct{} // made by Lost

	mu       sync.Mutex
	leaving  bool          // Release has been called
	left     bool          // the first call has returned
	released chan struct{} // closed when it has; made by who waits for it
	err      error         // what it returned
}

// Context returns a context that ends the moment exclusivity can no longer be
// guaranteed, or on release. context.Cause tells which: it is [ErrLost], with the
// reason, or [ErrReleased]. The context carries the values of the one given to Lock
// and the lease itself ([FromContext]), never that one's cancellation or deadline.
func (l *Lease) Context() context.Context {
	l.check()
	return l.ctx
}

// Lost returns a channel that is closed when the lease is lost. A release never
// closes it.
func (l *Lease) Lost() <-chan struct{} {
	l.check()
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
func (l *Lease) Token() int64 { return l.claim.Token }

// Slot returns the number that a semaphore's permit has, from 0 to limit - 1, unique
// among the live holders; -1 for other locks.
func (l *Lease) Slot() int { return l.claim.Permit - 1 }

// Name returns the name of the lock; for [LockAll] the members', joined by ", ".
func (l *Lease) Name() string {
	if l.members != nil {
		names := make([]string, len(l.members))
		for i, m := range l.members {
			names[i] = m.Name()
		}
		return strings.Join(names, ", ")
	}
	if l.claim.Lock == nil {
		return ""
	}
	return l.claim.Lock.Name()
}

// ValidUntil returns the current deadline: exclusivity is guaranteed until then, on
// this process's clocks. Only confirmed extensions move it. The zero time says that there
// is no deadline, as a Locker from elsewhere may have it.
func (l *Lease) ValidUntil() time.Time {
	if l.claim.ValidUntil == nil {
		return time.Time{}
	}
	return l.claim.ValidUntil()
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
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaving {
		l.awaitRelease()
		return l.err
	}
	l.leaving = true
	l.mu.Unlock()
	var err error
	defer func() { // also where the Claim's function panics
		l.mu.Lock()
		l.left, l.err = true, err
		if l.released != nil {
			close(l.released)
		}
	}()
	err = l.giveBack(ctx)
	return err
}

// awaitRelease waits until the first Release has returned. It is called with l.mu held,
// which it gives up meanwhile: sync.Once waits on a mutex, and a program's test in a bubble
// of virtual time would stand still.
func (l *Lease) awaitRelease() {
	if l.left {
		return
	}
	if l.released == nil {
		l.released = make(chan struct{})
	}
	released := l.released
	l.mu.Unlock()
	<-released
	l.mu.Lock()
}

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
