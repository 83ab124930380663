package core

import (
	"context"
	"errors"
	"time"

	"github.com/redlatch/redlatch/internal/failure"
	"github.com/redlatch/redlatch/internal/random"
)

// WaitForReady returns a Locker whose Lock waits, until ctx ends, for nodes that do not
// serve at the moment: an outage, a failover, a server that loads its data, a restart
// guard that is not over. Lock alone returns such a failure at once, unless a majority has
// answered in that call. docs/errors.md lists what passes by itself; whatever else is
// wrong is returned at once. When ctx ends meanwhile, the error is the last failure and
// ctx's error. TryLock is one attempt, as ever.
//
// Within(WaitForReady(l), wait) waits that long for both, nodes and others.
// WaitForReady(Within(l, wait)) waits for nodes until ctx ends, and each time that they
// serve again for others, that long.
func WaitForReady(l Locker) Locker { return ready{around{l}} }

type ready struct{ around }

func (r ready) Lock(ctx context.Context) (*Lease, error) {
	backoff := 2 * time.Millisecond
	for {
		lease, err := r.Locker.Lock(ctx)
		if err == nil || ctx.Err() != nil || !passes(err) {
			return lease, err
		}
		backoff = min(2*backoff, time.Second)
		timer := time.NewTimer(random.Around(backoff))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, errors.Join(ended(ctx), err)
		}
	}
}

// ended returns the error of a context that has ended, with its cause.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return errors.Join(err, cause)
}

// passes reports whether an error of Lock is one of nodes of which some may serve again
// by themselves: those alone may then be enough.
func passes(err error) bool {
	for _, not := range []error{ErrNotAcquired, ErrInvalid, ErrClosed, ErrLost} {
		if errors.Is(err, not) {
			return false
		}
	}
	some, mistake := false, false
	eachNodeError(err, func(e *NodeError) {
		switch failure.Of(e.Err) {
		case failure.Passes:
			some = true
		case failure.Mistake:
			mistake = true
		}
	})
	return some && !mistake
}

// eachNodeError calls f with every NodeError in err.
func eachNodeError(err error, f func(*NodeError)) {
	switch e := err.(type) {
	case *NodeError:
		f(e)
	case interface{ Unwrap() error }:
		eachNodeError(e.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			eachNodeError(err, f)
		}
	}
}
