package quorum

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/claim"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/internal/script"
)

// A Spec says what a lock is.
type Spec struct {
	Kind   *script.Kind
	Named  string // the kind's name, in keys and errors
	Param  string // the kind's own parameter of every script
	Extra  string // suffix of the kind's own further key, if any
	Hold   string // suffix of the key of the hold; empty: the full name itself
	Fenced bool   // acquiring raises the fencing counter
	Shared bool   // those next to each other in line go together
}

// A Lock is one lock on its nodes. It is stateless and safe for concurrent use.
type Lock struct {
	Spec
	ID     claim.ID
	name   string
	set    *Set
	nodes  []*node
	quorum int
	keys   []string
}

// NewLock returns the lock of that name on the nodes.
func NewLock(scripters []core.Scripter, name string, opts *core.Options, spec Spec) (*Lock, error) {
	set, nodes, err := join(scripters, opts)
	if err != nil {
		return nil, err
	}
	l := &Lock{Spec: spec, name: name, set: set, nodes: nodes, quorum: len(nodes)/2 + 1}
	key := set.opt.KeyPrefix + name
	l.keys = append([]string{key}, keys.Siblings(key, spec.Named+":meta", spec.Named+":queue", spec.Named+":tickets")...)
	if spec.Hold != "" {
		l.keys[0] = keys.Siblings(key, spec.Named+":"+spec.Hold)[0]
	}
	if spec.Extra != "" {
		l.keys = append(l.keys, keys.Siblings(key, spec.Named+":"+spec.Extra)...)
	}
	l.ID = claim.ID{Kind: spec.Named, Key: key, Nodes: set}
	return l, nil
}

// LockID tells the lock apart from others.
func (l *Lock) LockID() claim.ID { return l.ID }

// Reader returns the side of a reader-writer lock that is shared.
func (l *Lock) Reader() *Lock {
	r := *l
	r.ID.Mode, r.Param, r.Fenced, r.Shared = "read", "r", false, true
	return &r
}

// Name returns the name that the lock was made with.
func (l *Lock) Name() string { return l.name }

// errorf returns an error of the lock.
func (l *Lock) errorf(sentinel error, format string, args ...any) error {
	return fmt.Errorf("%w: %s %q: %w", sentinel, l.Named, l.name, fmt.Errorf(format, args...))
}

// refused is the error for a lock that others have, with the failures, if any, but for
// which it might have been had.
func (l *Lock) refused(failures error) error {
	if failures == nil {
		return fmt.Errorf("%w: %s %q is held or waited for by others", core.ErrNotAcquired, l.Named, l.name)
	}
	return l.errorf(core.ErrNotAcquired, "refused by some nodes, others failed: %w", failures)
}

// ended is the error for a call whose context has ended.
func (l *Lock) ended(ctx context.Context, last error) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	if last != nil {
		err = fmt.Errorf("%w; last: %w", err, last)
	}
	return l.errorf(core.ErrNotAcquired, "%w", err)
}

// closedError is the error for a call on a closed provider.
func (l *Lock) closedError() error {
	return fmt.Errorf("%w: %s %q: the provider is closed", core.ErrClosed, l.Named, l.name)
}

// lead returns the index in l.nodes of the first node that is not known to be failing.
// Its queue gives the order; on the others only the hold counts.
func (l *Lock) lead() int {
	for i, n := range l.nodes {
		if !n.failing.Load() {
			return i
		}
	}
	return 0
}

// TryLock makes one attempt.
func (l *Lock) TryLock(ctx context.Context) (*core.Lease, error) {
	if ctx.Err() != nil {
		return nil, l.ended(ctx, nil)
	}
	if !l.set.enter() {
		return nil, l.closedError()
	}
	defer l.set.ended()
	lease, o := l.attempt(ctx, nil)
	if lease == nil && ctx.Err() != nil {
		o.err = l.ended(ctx, o.err)
	}
	return lease, o.err
}

// Lock waits until the lock is held or ctx ends.
func (l *Lock) Lock(ctx context.Context) (*core.Lease, error) {
	if ctx.Err() != nil {
		return nil, l.ended(ctx, nil)
	}
	w, err := l.join(ctx)
	if err != nil {
		return nil, err
	}
	var lease *core.Lease
	var o outcome
	defer func() { w.leave(lease != nil, o.granted) }() // also where the context's Value panics
	lease, o = w.acquire()
	return lease, o.err
}

// Read runs a script that only reads, on the first node, and returns what it answers
// after the server's time.
func (l *Lock) Read(ctx context.Context, sc *script.Script) (int64, error) {
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case l.set.isClosed():
		return 0, l.closedError()
	}
	type result struct {
		reply []int64
		err   error
	}
	n, set := l.nodes[0], l.set
	results := make(chan result, 1)
	var left atomic.Bool
	defer left.Store(true)
	limited := &callContext{set.limit.from(time.Now(), set.window), claim.Values{Of: ctx}, &left}
	go func() {
		reply, err := n.run(limited, sc, l.keys, []string{"", l.Param, set.expiry, set.keep, "0"})
		results <- result{reply, err}
	}()
	var r result
	select {
	case r = <-results:
	case <-limited.Done():
		r.err = set.errNoAnswer
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	switch {
	case r.err != nil && l.set.isClosed(): // which has ended the call's context
		return 0, l.closedError()
	case r.err != nil:
		return 0, &core.NodeError{Node: n.index, Err: r.err}
	case len(r.reply) != 3:
		return 0, &core.NodeError{Node: n.index, Err: fmt.Errorf("the script's reply is %v", r.reply)}
	case r.reply[0] < 0:
		return 0, l.limitError(r.reply[2])
	}
	return r.reply[2], nil
}

// limitError is the error for a limit that is not the one in force.
func (l *Lock) limitError(inForce int64) error {
	return l.errorf(core.ErrInvalid, "the limit is %s, but %d is in force", l.Param, inForce)
}
