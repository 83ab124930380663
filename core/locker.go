package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlatch/redlatch/internal/claim"
)

// A Locker is one way to take a lock: a mutex, either side of a reader-writer lock, a
// semaphore's permits. Lockers are stateless and safe for concurrent use; each
// acquisition has its own [Lease]. None is reentrant.
type Locker interface {
	// Name returns the name that the lock was made with.
	Name() string

	// Lock waits until the lock is held or ctx ends.
	Lock(ctx context.Context) (*Lease, error)

	// TryLock makes one attempt and returns an error that is [ErrNotAcquired] if the
	// lock is held, or waited for, by others.
	TryLock(ctx context.Context) (*Lease, error)
}

// Within returns a Locker whose Lock gives up after wait, with an error that is
// [ErrNotAcquired] and [context.DeadlineExceeded]; a wait of 0 makes one attempt. A
// negative wait is [ErrInvalid], at Lock.
func Within(l Locker, wait time.Duration) Locker { return within{l, wait} }

type within struct {
	Locker
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

// LockID passes on the identity of the lock underneath.
func (w within) LockID() claim.ID { return identify(w.Locker) }

// Do calls fn while holding l, which it takes with Lock. The context given to fn is a
// child of ctx that also ends with the lease, with its cause: [ErrLost], or [ErrReleased]
// and [ErrClosed] where the provider was closed; it carries the lease ([FromContext]). The
// lock is released when fn returns, panics or ends its goroutine. Do returns fn's error
// joined with ErrLost, if the lease was lost, and with the release's error.
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
		err = errors.Join(err, lease.Release(ctx))
		cancel(context.Canceled)
	}()
	return fn(inner)
}
