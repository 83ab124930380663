package line

import (
	"context"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/hold"
)

// A Lock is one lock on its nodes, for which callers wait in a line. It is stateless and safe
// for concurrent use.
type Lock struct {
	*hold.Target
	group *Group
}

// NewLock returns the lock of that name on the nodes, in a group of its own.
func NewLock(scripters []core.Scripter, name string, opts *core.Options, spec hold.Spec) (*Lock, error) {
	g, err := NewGroup(scripters, opts)
	if err != nil {
		return nil, err
	}
	return g.Lock(name, spec), nil
}

// Lock returns the lock of that name on all nodes.
func (g *Group) Lock(name string, spec hold.Spec) *Lock {
	return g.lock(hold.NewTarget(g.set, len(g.set.Nodes), name, spec))
}

// LockOnFirst returns the lock of that name on the first node alone.
func (g *Group) LockOnFirst(name string, spec hold.Spec) *Lock {
	return g.lock(hold.NewTarget(g.set, 1, name, spec))
}

func (g *Group) lock(t *hold.Target) *Lock {
	l := &Lock{t, g}
	t.Locker = l
	return l
}

// Lock waits until the lock is held or ctx ends.
func (l *Lock) Lock(ctx context.Context) (*core.Lease, error) {
	if ctx.Err() != nil {
		return nil, l.Unasked(ctx)
	}
	if err := core.Deadlock(ctx, l); err != nil {
		return nil, err
	}
	w, err := l.join(ctx)
	if err != nil {
		return nil, err
	}
	var lease *core.Lease
	var o hold.Outcome
	defer func() { w.leave(lease != nil, o.Granted) }() // also where the context's Value panics
	if lease, o = w.acquire(); lease == nil {
		return nil, l.Says(ctx, o, time.Since(w.began))
	}
	return lease, nil
}
