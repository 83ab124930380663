package core

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Locker is one way to take a lock: a mutex, either side of a reader-writer lock, a
// semaphore's permits. Lockers are stateless and safe for concurrent use; each
// acquisition has its own [Lease]. None is reentrant.
//
// A Locker of your own, or a fake of one for a test, makes its leases with [NewLease]. One
// that wraps another, to log or to measure, say, has a method Unwrap() Locker that returns
// the other: then [LockAll] and [Deadlock] know which lock it is. An embedded *redlock.Mutex
// brings that method along, an embedded Locker does not.
type Locker interface {
	// Name returns the name that the lock was made with.
	Name() string

	// Lock waits until the lock is held or ctx ends. Where ctx carries a live lease for
	// which it would wait, the error is [ErrDeadlock], at once.
	Lock(ctx context.Context) (*Lease, error)

	// TryLock makes one attempt and returns an error that is [ErrNotAcquired] if the
	// lock is held, or waited for, by others.
	TryLock(ctx context.Context) (*Lease, error)
}

// Within returns a Locker whose Lock gives up after wait, with an error that is
// [context.DeadlineExceeded], and [ErrNotAcquired] where others have the lock; a wait of
// 0 makes one attempt. A negative wait is [ErrInvalid], at Lock.
func Within(l Locker, wait time.Duration) Locker { return within{around{l}, wait} }

type within struct {
	around
	wait time.Duration
}

func (w within) Lock(ctx context.Context) (*Lease, error) {
	switch {
	case w.wait < 0:
		return nil, fmt.Errorf("%w: wait is %v, at least 0s wanted", ErrInvalid, w.wait)
	case w.wait == 0:
		return w.TryLock(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, w.wait)
	defer cancel()
	return w.Locker.Lock(ctx)
}

// around is a Locker that changes how another one is taken, not which it is.
type around struct{ Locker }

func (a around) Unwrap() Locker { return a.Locker }

// Do calls fn while holding l, which it takes with Lock. The context given to fn is a
// child of ctx that also ends with the lease, with its cause: [ErrLost], or [ErrReleased]
// and [ErrClosed] where the provider was closed; it carries the lease ([FromContext]). The
// lock is released when fn returns, panics or ends its goroutine. Do returns fn's error
// joined with ErrLost, if the lease was lost, and with the release's error. A fn that its
// context has stopped returns [context.Cause] of it, which tells why, and not its Err.
func Do(ctx context.Context, l Locker, fn func(ctx context.Context) error) (err error) {
	lease, err := l.Lock(ctx)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(context.WithValue(ctx, leaseKey{}, lease))
	held := lease.Context()
	stop := context.AfterFunc(held, func() { cancel(context.Cause(held)) })
	defer func() {
		stop()
		if released := lease.Release(ctx); !errors.Is(err, released) { // fn may have returned why its context ended
			err = errors.Join(err, released)
		}
		cancel(context.Canceled)
	}()
	return fn(inner)
}
