//go:build unix

package chaos

import (
	"context"
	"errors"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A claim is one lock that a caller has taken.
type claim struct {
	resource
	id    int64
	lease *core.Lease
	base  int64 // what it read from the register
	reads bool  // it read
}

// hold reports the claims, works on what they protect, and gives the lease back, which
// is the claims' own or that of all of them.
func (c *caller) hold(lease *core.Lease, claims []claim) {
	for i := range claims {
		k := &claims[i]
		c.send(report{
			Kind: granted, ID: k.id, At: c.clock.now(), Until: c.clock.of(k.lease.ValidUntil()),
			Token: k.lease.Token(), Slot: k.lease.Slot(),
		})
		c.mu.Lock()
		c.holds[k.id] = k.lease
		c.mu.Unlock()
	}
	for i := range claims {
		c.read(&claims[i])
	}

	// A careless holder does not look at its lease's context: it writes late.
	d := c.length()
	if c.chance(5) && !c.calm.Load() {
		time.Sleep(d)
	} else {
		select {
		case <-lease.Context().Done():
		case <-time.After(d):
		}
	}
	for i := range claims {
		c.write(&claims[i])
	}

	for i := range claims {
		c.finish(&claims[i])
	}
	c.release(lease, claims)
	if c.chance(10) && !c.calm.Load() {
		c.late(claims)
	}
}

// late writes once more although the claims are over, as a request does that was long
// on its way. The register takes it if nobody has come in between.
func (c *caller) late(claims []claim) {
	c.pause(c.upTo(100 * time.Millisecond))
	for i := range claims {
		if k := &claims[i]; k.reads && k.guarded() {
			c.ask(report{Kind: write, Name: k.name, Token: k.lease.Token(), Base: k.base})
		}
	}
}

// length is how long to hold.
func (c *caller) length() time.Duration {
	switch n := c.dice.IntN(100); {
	case n < 85 || c.calm.Load():
		return c.upTo(15 * time.Millisecond)
	case n < 96:
		return c.upTo(300 * time.Millisecond)
	}
	return c.upTo(3 * c.Expiry)
}

// guarded says whether the register of the claim's name can be used with its token:
// readers have none, and permits are held side by side.
func (k *claim) guarded() bool { return k.limit == 0 && k.lease.Token() > 0 }

func (c *caller) read(k *claim) {
	if !k.guarded() {
		return
	}
	o := c.ask(report{Kind: read, Name: k.name, Token: k.lease.Token()})
	k.base, k.reads = o.Value, o.OK
	if !o.OK && k.lease.Context().Err() == nil {
		c.wrongf("%s: the register refused the read of a live claim with token %d", k.name, k.lease.Token())
	}
}

func (c *caller) write(k *claim) {
	if !k.reads {
		return
	}
	o := c.ask(report{Kind: write, Name: k.name, Token: k.lease.Token(), Base: k.base})
	if o.OK {
		k.base = o.Value
	}
	if !o.OK && k.lease.Context().Err() == nil {
		c.wrongf("%s: the register refused the write of a live claim with token %d", k.name, k.lease.Token())
	}
}

// finish reports the end of the claim, before the lock is given back.
func (c *caller) finish(k *claim) {
	kind, at := released, c.clock.now()
	if k.lease.Context().Err() != nil {
		kind = lost
	}
	// The deadline after the time: it only moves forward.
	c.send(report{Kind: kind, ID: k.id, At: at, Until: c.clock.of(k.lease.ValidUntil())})
	c.mu.Lock()
	delete(c.holds, k.id)
	c.mu.Unlock()
}

// release gives the lease back and judges what it says.
func (c *caller) release(lease *core.Lease, claims []claim) {
	ctx := lease.Context()
	was := ctx.Err() != nil
	with, cancel := context.WithCancel(context.Background())
	defer cancel()
	if c.chance(20) {
		cancel() // a release works all the same
	}
	err := lease.Release(with)
	isLost, cause := errors.Is(err, core.ErrLost), context.Cause(ctx)
	wasLost := errors.Is(cause, core.ErrLost)
	closed := false
	select {
	case <-lease.Lost():
		closed = true
	default:
	}
	name := lease.Name()
	var node *core.NodeError
	switch {
	case ctx.Err() == nil:
		c.wrongf("%s: the lease's context has not ended with the release", name)
	case wasLost == errors.Is(cause, core.ErrReleased):
		c.wrongf("%s: the cause of the lease's end is %v", name, cause)
	case was && !wasLost:
		c.wrongf("%s: the lease ended before its release, with cause %v", name, cause)
	case closed != wasLost:
		c.wrongf("%s: Lost is closed: %v, but the cause is %v", name, closed, cause)
	case wasLost && !isLost, isLost && !wasLost && len(claims) == 1:
		c.wrongf("%s: the release returned %v, but the cause is %v", name, err, cause)
	case err != nil && !isLost && !errors.As(err, &node):
		c.wrongf("%s: the release returned %v, an error of no documented kind", name, err)
	}
}
