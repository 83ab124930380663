package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redlatch/redlatch/internal/claim"
)

// LockAll takes all of the locks or none. It takes them one after another in the order
// of their kinds and names, so that two callers that name the same locks cannot
// deadlock, and shares ctx among them. The lease it returns ends when any member's
// does, with the same cause; its Release releases every member, in reverse order but
// together, past errors, and must be called in that case too. Its ValidUntil is the
// earliest of the members'.
//
// If a member is lost while the others are waited for, that wait ends, the error is that
// loss, [ErrLost], and the others are released. A mutex named twice, or one side of a
// reader-writer lock, is taken once. [ErrInvalid] are a semaphore named twice: two callers
// that each had one of two permits would wait for each other; both sides of one
// reader-writer lock; two different locks of one kind and name; and a Locker from
// elsewhere that has the name of another, since what is not known cannot be taken once.
// If ctx carries the lease of a member, the error is [ErrDeadlock], before anything is
// taken; a Locker from elsewhere says so itself, when it is its turn.
func LockAll(ctx context.Context, ls ...Locker) (lease *Lease, err error) {
	order, err := sorted(ls)
	if err != nil {
		return nil, err
	}
	for _, l := range ls {
		if err := deadlock(ctx, l); err != nil {
			return nil, err
		}
	}
	a := &all{}
	whole, end := NewLease(ctx, Claim{Release: a.release, ValidUntil: a.validUntil})
	whole.members = make([]*Lease, len(ls))
	a.end = sync.OnceFunc(func() { end(a.cause) })
	waiting, giveUp := context.WithCancel(ctx)
	defer giveUp()
	defer context.AfterFunc(whole.ctx, giveUp)()
	defer func() {
		if lease == nil { // also where a Locker panics
			err = errors.Join(err, a.releaseMembers(ctx))
		}
	}()
	for _, group := range order {
		member, err := ls[group[0]].Lock(waiting)
		if err != nil && ctx.Err() == nil {
			err = cmp.Or(context.Cause(whole.ctx), err)
		}
		if err != nil {
			return nil, err
		}
		a.taken = append(a.taken, member)
		held := member.Context()
		a.stops = append(a.stops, context.AfterFunc(held, func() { a.finish(context.Cause(held)) }))
		for _, i := range group {
			whole.members[i] = member
		}
	}
	a.check()
	if lost := context.Cause(whole.ctx); lost != nil {
		return nil, lost
	}
	return whole, nil
}

// all is what is behind LockAll's lease.
type all struct {
	taken []*Lease // the members, each once, in the order they were taken
	stops []func() bool

	mu    sync.Mutex
	cause error
	end   func()
}

// finish ends the composite lease with the first cause that it is given.
func (a *all) finish(cause error) {
	a.mu.Lock()
	if a.cause == nil {
		a.cause = cause
	}
	a.mu.Unlock()
	a.end()
}

// check ends the composite lease if a member's has ended.
func (a *all) check() {
	for _, m := range a.taken {
		if held := m.Context(); held.Err() != nil {
			a.finish(context.Cause(held))
		}
	}
}

// validUntil returns the earliest of the members' deadlines.
func (a *all) validUntil() (earliest time.Time) {
	a.check()
	for _, m := range a.taken {
		if until := m.ValidUntil(); earliest.IsZero() || !until.IsZero() && until.Before(earliest) {
			earliest = until
		}
	}
	return earliest
}

func (a *all) release(ctx context.Context) error {
	a.check()
	a.finish(ErrReleased)
	return a.releaseMembers(ctx)
}

// releaseMembers releases all members, the last taken first, without waiting for one
// before the next: a member whose release takes long must not cost another its lease.
func (a *all) releaseMembers(ctx context.Context) error {
	for _, stop := range a.stops {
		stop()
	}
	errs := make([]error, len(a.taken))
	var wg sync.WaitGroup
	for i, m := range slices.Backward(a.taken) {
		wg.Go(func() { errs[i] = m.Release(ctx) })
		<-m.ctx.Done() // its claim has ended
	}
	wg.Wait()
	slices.Reverse(errs)
	return errors.Join(errs...)
}

// sorted returns the indices of ls in the order in which to take them, those of one
// lock together.
func sorted(ls []Locker) ([][]int, error) {
	if len(ls) == 0 {
		return nil, fmt.Errorf("%w: LockAll was given no locks, at least 1 wanted", ErrInvalid)
	}
	ids := make([]claim.ID, len(ls))
	order := make([]int, len(ls))
	for i, l := range ls {
		if unwrap(l) == nil {
			return nil, fmt.Errorf("%w: lock %d given to LockAll is nil", ErrInvalid, i)
		}
		ids[i], order[i] = identify(l), i
	}
	compare := func(i, j int) int {
		return cmp.Or(cmp.Compare(ids[i].Kind, ids[j].Kind), cmp.Compare(ls[i].Name(), ls[j].Name()))
	}
	slices.SortStableFunc(order, compare)

	var groups [][]int
	for _, i := range order {
		if n := len(groups); n == 0 || compare(groups[n-1][0], i) != 0 {
			groups = append(groups, []int{i})
		} else if first := groups[n-1][0]; ids[first] == ids[i] && ids[i].Permits > 0 {
			return nil, fmt.Errorf("%w: locks %d and %d given to LockAll are both the semaphore %q, of which two callers could have one permit each and wait for each other",
				ErrInvalid, first, i, ls[i].Name())
		} else if ids[first] == ids[i] && ids[i].Kind != "" {
			groups[n-1] = append(groups[n-1], i)
		} else {
			return nil, fmt.Errorf("%w: locks %d and %d given to LockAll are both named %q but are not known to be one lock",
				ErrInvalid, first, i, ls[i].Name())
		}
	}
	return groups, nil
}
