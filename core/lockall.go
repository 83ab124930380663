package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
// loss, [ErrLost], and the others are released. A lock named twice is taken once; two
// different locks of one kind and name, or both sides of one reader-writer lock, are
// [ErrInvalid].
func LockAll(ctx context.Context, ls ...Locker) (lease *Lease, err error) {
	order, err := sorted(ls)
	if err != nil {
		return nil, err
	}
	a := &all{members: make([]*Lease, len(ls)), released: make(chan struct{})}
	whole, end := NewLease(ctx, a)
	whole.members = a.members
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
			a.members[i] = member
		}
	}
	a.Check()
	if lost := context.Cause(whole.ctx); lost != nil {
		return nil, lost
	}
	return whole, nil
}

// all is the holder behind LockAll's lease.
type all struct {
	members []*Lease // in argument order
	taken   []*Lease // each once, in the order they were taken
	stops   []func() bool

	mu    sync.Mutex
	cause error
	end   func()

	releasing atomic.Bool
	released  chan struct{} // closed when the first Release has returned
	err       error
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

func (a *all) Name() string {
	names := make([]string, len(a.members))
	for i, m := range a.members {
		names[i] = m.Name()
	}
	return strings.Join(names, ", ")
}

func (a *all) Token() int64 { return 0 }
func (a *all) Slot() int    { return -1 }

func (a *all) Check() {
	for _, m := range a.taken {
		if held := m.Context(); held.Err() != nil {
			a.finish(context.Cause(held))
		}
	}
}

func (a *all) ValidUntil() time.Time {
	return slices.MinFunc(a.taken, func(x, y *Lease) int { return x.ValidUntil().Compare(y.ValidUntil()) }).ValidUntil()
}

func (a *all) Release(ctx context.Context) error {
	if !a.releasing.CompareAndSwap(false, true) {
		<-a.released // and not sync.Once: see quorum's awaitRelease
		return a.err
	}
	defer close(a.released)
	a.Check()
	a.finish(ErrReleased)
	a.err = a.releaseMembers(ctx)
	return a.err
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

// identify returns what tells l apart. A Locker that is not of this module is its own
// identity.
func identify(l Locker) claim.ID {
	if own, ok := l.(interface{ LockID() claim.ID }); ok {
		return own.LockID()
	}
	if reflect.ValueOf(l).Comparable() {
		return claim.ID{Key: l.Name(), Nodes: l}
	}
	return claim.ID{Key: l.Name(), Nodes: new(byte)}
}

// missing reports whether there is no lock behind l.
func missing(l Locker) bool {
	if w, ok := l.(within); ok {
		return missing(w.Locker)
	}
	v := reflect.ValueOf(l)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
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
		if missing(l) {
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
		} else if first := groups[n-1][0]; ids[first] == ids[i] {
			groups[n-1] = append(groups[n-1], i)
		} else {
			return nil, fmt.Errorf("%w: locks %d and %d given to LockAll are both named %q but are not the same lock",
				ErrInvalid, first, i, ls[i].Name())
		}
	}
	return groups, nil
}
