package hold

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/claim"
	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/internal/protocol"
	"github.com/redlatch/redlatch/internal/vote"
)

// A Spec says what a lock is.
type Spec struct {
	Kind    *protocol.Kind
	Named   string // the kind's name, in keys and errors
	Param   string // the kind's own parameter of every script
	Means   string // what that is, in errors, where another one may be in force
	Extra   string // suffix of the kind's own further key, if any
	Hold    string // suffix of the key of the hold; empty: the full name itself
	Stand   int    // how many of the keys, from the first on, are there while it is held
	Fenced  bool   // acquiring raises the fencing counter
	Shared  bool   // those next to each other in line go together
	Permits int    // how many hold it at a time, of a semaphore; 0: see Shared
}

// A Target is what attempts are made for: one lock on its nodes. It is stateless and safe for
// concurrent use.
type Target struct {
	Spec
	Locker core.Locker // as leases know it
	id     claim.ID
	name   string
	Set    *cluster.Set
	Nodes  []*cluster.Node
	quorum int
	keys   []string
}

// NewTarget returns the lock of that name on the first so many nodes of the set.
func NewTarget(set *cluster.Set, nodes int, name string, spec Spec) *Target {
	l := &Target{Spec: spec, name: name, Set: set, Nodes: set.Nodes[:nodes], quorum: vote.Majority(nodes)}
	key := set.Opt.KeyPrefix + name
	suffixes := []string{spec.Hold, "meta", spec.Extra, "queue", "tickets"} // as head.lua names them
	for i, suffix := range suffixes {
		switch {
		case suffix != "":
			l.keys = append(l.keys, keys.Siblings(key, spec.Named+":"+suffix)...)
		case i == 0:
			l.keys = append(l.keys, key)
		}
	}
	l.id = claim.ID{Kind: spec.Named, Key: key, Shared: spec.Shared, Permits: spec.Permits, Nodes: set}
	return l
}

// LockID tells package core which lock it is.
func (l *Target) LockID() claim.ID { return l.id }

// standing are the keys that are there while the lock is held. Without tokens there is nothing
// in the meta key, unless the restart guard is.
func (l *Target) standing() []string {
	if !l.Fenced && l.Set.Guard == "0" {
		return l.keys[:1]
	}
	return l.keys[:l.Stand]
}

// Name returns the name that the lock was made with.
func (l *Target) Name() string { return l.name }

// Lead returns the index in Nodes of the first node that is not known to be failing.
// Its queue gives the order; on the others only the hold counts.
func (l *Target) Lead() int {
	for i, n := range l.Nodes {
		if !n.Failing.Load() {
			return i
		}
	}
	return 0
}

// LineKey is the same for both sides of a reader-writer lock.
func (l *Target) LineKey() string { return l.keys[1] }

// TryLock makes one attempt.
func (l *Target) TryLock(ctx context.Context) (*core.Lease, error) {
	if ctx.Err() != nil {
		return nil, l.Unasked(ctx)
	}
	if !l.Set.Enter() {
		return nil, l.ClosedError()
	}
	defer l.Set.Ended()
	began := time.Now()
	lease, o := l.Attempt(ctx, nil)
	if lease == nil {
		return nil, l.Says(ctx, o, time.Since(began))
	}
	return lease, nil
}

// Read runs a script that only reads, on the first node, and returns what it answers
// after the server's time.
func (l *Target) Read(ctx context.Context, sc *protocol.Script) (int64, error) {
	switch {
	case ctx.Err() != nil:
		return 0, l.Unasked(ctx)
	case l.Set.IsClosed():
		return 0, l.ClosedError()
	}
	type result struct {
		reply protocol.Reply
		err   error
	}
	n, set := l.Nodes[0], l.Set
	before, told, in := set.Gate.Enter(ctx, set.Done, false)
	switch {
	case told != nil:
		return 0, l.Says(ctx, l.told(told), 0)
	case !in:
		return 0, l.notSent(ctx, before)
	}
	defer set.Gate.Leave()
	began := time.Now()
	results := make(chan result, 1)
	var left atomic.Bool
	defer left.Store(true)
	limited := set.Limited(began, claim.Values{Of: ctx}, &left)
	go func() {
		reply, err := n.Run(&limited, sc, l.keys, l.call("", "0").Repair())
		results <- result{reply, err}
	}()
	var r result
	select {
	case r = <-results:
	case <-limited.Done():
		r.err = n.Silence(set.ErrNoAnswer)
	case <-ctx.Done():
		r.err = n.Silence(errLeft)
	}
	var number int64
	if r.err == nil {
		number, r.err = r.reply.Number()
	}
	switch {
	case r.err != nil && l.Set.IsClosed(): // which has ended the call's context
		return 0, l.ClosedError()
	case r.err != nil:
		o := Outcome{Verdict: Outage, Err: n.Failed(l.explain(r.err))}
		return 0, l.Says(ctx, o, time.Since(began))
	case r.reply.Status() == protocol.OtherLimit:
		return 0, l.otherParam(number)
	}
	return number, nil
}

// otherParam is the error for a parameter that is not the one in force.
func (l *Target) otherParam(inForce int64) error {
	return l.errorf(core.ErrInvalid, "the %s is %s, but %d is in force", l.Means, l.Param, inForce)
}
