package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
)

// A lockKind is a kind of lock that excludes all others of its name: what the
// cases that all kinds share are run with.
type lockKind struct {
	name string
	one  bool // it lives on the first node alone
	make func(p *redlatch.Provider, name string) (core.Locker, error)
}

var (
	mutexKind = lockKind{"mutex", false, func(p *redlatch.Provider, name string) (core.Locker, error) {
		return p.Mutex(name), nil
	}}
	writerKind = lockKind{"writer", false, func(p *redlatch.Provider, name string) (core.Locker, error) {
		return p.RWMutex(name), nil
	}}
	permitKind = lockKind{"permit", true, func(p *redlatch.Provider, name string) (core.Locker, error) {
		s, err := p.Semaphore(name, 1)
		if err != nil {
			return nil, err
		}
		return s.Locker(), nil
	}}
)

// on returns f as a check of the kind, which uses no more nodes than it needs.
func (k lockKind) on(f func(c *trial, k lockKind)) func(c *trial) {
	return func(c *trial) {
		if k.one {
			c.nodes = c.nodes[:1]
		}
		f(c, k)
	}
}

// patient is for cases in which nothing has to expire: a slow machine has time.
func patient() *core.Options {
	return &core.Options{Expiry: 20 * time.Second, MinValidity: 10 * time.Second, MaxBusyWait: 200 * time.Millisecond}
}

// lively is for cases in which leases have to be extended, and none to expire: they
// outlast a machine that stands still for some seconds. What a fault leaves of them is
// gone after leftTime all the same.
func lively() *core.Options {
	return &core.Options{
		Expiry: 5 * time.Second, MinValidity: time.Second, ExtensionCadence: 300 * time.Millisecond,
		MaxBusyWait: 200 * time.Millisecond,
	}
}

// lasting is lively with an Expiry that a case can wait for. Of a machine that stands still
// its leases, and with 3.5 s its calls, outlast three seconds.
func lasting() *core.Options {
	o := lively()
	o.Expiry, o.MinValidity = 4*time.Second, 500*time.Millisecond
	return o
}

// brisk is for a lease that has to expire, and for no other beside it. It may do so
// before the case wants it to: see taken.
func brisk() *core.Options {
	return &core.Options{
		Expiry: time.Second, MinValidity: 400 * time.Millisecond, ExtensionCadence: 200 * time.Millisecond,
		MaxBusyWait: 200 * time.Millisecond,
	}
}

// provider returns a provider on the Scripters under test, which go through the
// proxies, if any. The end of the case closes it.
func (c *trial) provider(o *core.Options) *redlatch.Provider {
	return c.providerOn(o, func(n node) core.Scripter { return n.s })
}

// rival returns a provider on other clients, which never go through a proxy.
func (c *trial) rival(o *core.Options) *redlatch.Provider {
	return c.providerOn(o, func(n node) core.Scripter { return n.side })
}

func (c *trial) providerOn(o *core.Options, of func(n node) core.Scripter) *redlatch.Provider {
	var scripters []core.Scripter
	for _, n := range c.nodes {
		scripters = append(scripters, of(n))
	}
	own := *o
	own.KeyPrefix = c.prefix
	p, err := redlatch.New(&own, scripters...)
	if err != nil {
		c.fatalf("redlatch.New: got %q, want no error", err)
	}
	c.atEnd(func() { p.Close() })
	return p
}

// locker returns the lock of that name on p.
func (c *trial) locker(k lockKind, p *redlatch.Provider, name string) core.Locker {
	l, err := k.make(p, name)
	if err != nil {
		c.fatalf("making the %s %q: got %q, want no error", k.name, name, err)
	}
	return l
}

// A grant is what Lock or TryLock returned.
type grant struct {
	lease *core.Lease
	err   error
}

// lock calls l.Lock in a goroutine of its own.
func (c *trial) lock(ctx context.Context, l core.Locker) <-chan grant {
	result := make(chan grant, 1)
	go func() {
		lease, err := l.Lock(ctx)
		result <- grant{lease, err}
	}()
	return result
}

// mustLock returns a lease of l, and ends the case if there is none in time.
func (c *trial) mustLock(what string, l core.Locker) *core.Lease {
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	return c.granted(what, c.lock(ctx, l))
}

// granted returns the lease that is to come from result.
func (c *trial) granted(what string, result <-chan grant) *core.Lease {
	limit := callTime() + c.overrun
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case g := <-result:
		if g.err != nil {
			c.fatalf("%s: got %q, want a lease", what, g.err)
		}
		return g.lease
	case <-timer.C:
		c.fatalf("%s has not come after %v; on the servers there is %s", what, limit, c.state())
	}
	panic("unreachable")
}

// state describes the keys of the case, for messages.
func (c *trial) state() string {
	var all []string
	for i, n := range c.nodes {
		for _, k := range c.keysOf(n) {
			all = append(all, fmt.Sprintf("%q for %v on node %d", k.name, k.ttl, i))
		}
	}
	return strings.Join(all, ", ")
}

// tryLock calls l.TryLock and bounds the wait for it.
func (c *trial) tryLock(l core.Locker) grant {
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	result := make(chan grant, 1)
	go func() {
		lease, err := l.TryLock(ctx)
		result <- grant{lease, err}
	}()
	return wait(c, result, callTime()+c.overrun, "TryLock's return")
}

// wantRefused checks that TryLock finds the lock held, or waited for.
func (c *trial) wantRefused(what string, l core.Locker) {
	if g := c.tryLock(l); g.err == nil {
		c.errorf("%s: got a lease, want core.ErrNotAcquired", what)
		g.lease.Release(c.ctx)
	} else if !errors.Is(g.err, core.ErrNotAcquired) {
		c.errorf("%s: got %q, want core.ErrNotAcquired", what, g.err)
	}
}

// wantExcluded checks that TryLock finds the lock held, or waited for, for as long as the
// lease of another client has not ended.
func (c *trial) wantExcluded(what string, l core.Locker, by *core.Lease) {
	g := c.tryLock(l)
	held := by.Context().Err() == nil // after the attempt, so that it was held all the time
	switch {
	case g.err == nil:
		if held {
			c.errorf("%s: got a lease, want core.ErrNotAcquired: the other's lease is valid until %v", what, by.ValidUntil())
		}
		c.release("a lease after another's", g.lease)
	case !errors.Is(g.err, core.ErrNotAcquired):
		c.errorf("%s: got %q, want core.ErrNotAcquired", what, g.err)
	}
}

// release ends a lease that must not have been lost.
func (c *trial) release(what string, lease *core.Lease) {
	if err := c.releaseErr(lease); err != nil {
		c.errorf("Release of %s: got %q, want no error", what, err)
	}
}

// releaseAfterFault ends a lease whose client may still have connections that have
// been cut: it may need more tries than Release makes before it returns.
func (c *trial) releaseAfterFault(what string, lease *core.Lease) {
	var failed *core.NodeError
	if err := c.releaseErr(lease); err != nil && !errors.As(err, &failed) || errors.Is(err, core.ErrLost) {
		c.errorf("Release of %s: got %q, want no error or a core.NodeError", what, err)
	}
}

func (c *trial) releaseErr(lease *core.Lease) error {
	result := make(chan error, 1)
	go func() { result <- lease.Release(c.ctx) }()
	return wait(c, result, callTime()+c.overrun, "Release's return")
}

// wantHeld checks that a lease has not ended.
func (c *trial) wantHeld(what string, lease *core.Lease) {
	if lease.Context().Err() != nil {
		c.errorf("%s: the lease has ended with the cause %q, want it held", what, context.Cause(lease.Context()))
	}
}

// wantLost waits until a lease is lost and checks how it tells.
func (c *trial) wantLost(what string, lease *core.Lease, limit time.Duration) {
	wait(c, lease.Context().Done(), limit, "the end of the context of "+what)
	if cause := context.Cause(lease.Context()); !errors.Is(cause, core.ErrLost) {
		c.errorf("the context of %s: got the cause %q, want core.ErrLost", what, cause)
	}
	wait(c, lease.Lost(), limit, "Lost of "+what)
	if err := c.releaseErr(lease); !errors.Is(err, core.ErrLost) {
		c.errorf("Release of %s after its loss: got %v, want core.ErrLost", what, err)
	}
}

// waiting returns when somebody stands in line for the lock of that name: who calls
// Lock with this result.
func (c *trial) waiting(what, name string, result <-chan grant) {
	c.until(what+" standing in line", func() bool {
		if len(result) > 0 {
			g := <-result
			c.fatalf("Lock of %s, of a lock that is held, has returned: got the error %v, want it to wait", what, g.err)
		}
		return slices.Max(c.queues(name)) > 0
	})
}

// told returns when the one that stands in line for the lock of that name has been told so:
// when it has asked again, which prolongs the line. It may ask twice for one answer, where it
// meets what an earlier attempt of its own has left; the third time it has had one.
func (c *trial) told(what, name string) {
	before, again := c.queues(name), 0
	c.until(what+" asking again", func() bool {
		now := c.queues(name)
		for i := range now {
			if before[i] > 0 && now[i] > before[i] {
				again++
			}
		}
		before = now
		return again >= 2
	})
}

// queues returns for each node the TTL of the line for the lock of that name; 0: there is none.
func (c *trial) queues(name string) []time.Duration {
	ttls := make([]time.Duration, len(c.nodes))
	for i, n := range c.nodes {
		for _, k := range c.keysOf(n) {
			if strings.HasPrefix(k.name, name+":") && strings.HasSuffix(k.name, ":queue") {
				ttls[i] = k.ttl
			}
		}
	}
	return ttls
}

// until waits for what cannot be waited for otherwise.
func (c *trial) until(what string, ok func() bool) {
	for deadline := time.Now().Add(callTime()); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) || c.ctx.Err() != nil {
			c.fatalf("%s has not come after %v; on the servers there is %s", what, callTime(), c.state())
		}
	}
}

// isHold tells the keys that hold a lock from those that are about it.
func isHold(k leftKey) bool {
	for _, suffix := range []string{":meta", ":queue", ":tickets"} {
		if strings.HasSuffix(k.name, suffix) {
			return false
		}
	}
	return !strings.HasPrefix(k.name, "probe:")
}

// everywhere returns when a lock that a majority has granted is held on all nodes.
// Until then somebody who comes later may be the first on some of them.
func (c *trial) everywhere() {
	for i, n := range c.nodes {
		c.until(fmt.Sprintf("the hold on node %d", i), func() bool { return c.holdOn(n) })
	}
}

// holdOn reports whether there is a hold of the case on n.
func (c *trial) holdOn(n node) bool { return slices.ContainsFunc(c.keysOf(n), isHold) }

// taken returns a lease of a free lock that is held on all nodes. With brisk options a
// slow machine may need two attempts, or lose the first lease meanwhile.
func (c *trial) taken(l core.Locker) *core.Lease {
	var lease *core.Lease
	c.until("a lease of a free lock, held on all nodes,", func() bool {
		if lease == nil || lease.Context().Err() != nil {
			if lease = c.tryLock(l).lease; lease == nil {
				return false
			}
		}
		for _, n := range c.nodes {
			if !c.holdOn(n) {
				return false
			}
		}
		return true
	})
	return lease
}

// used takes and releases the lock, so that its clients are connected, its nodes
// verified and its scripts cached.
func (c *trial) used(l core.Locker) core.Locker {
	c.until("a lease of a free lock and its release", func() bool {
		return c.releaseErr(c.taken(l)) == nil
	})
	c.nowhere()
	return l
}

// nowhere returns when a released lock is held on no node any more, and the clients
// have all their answers and no connection that a fault has broken unseen.
func (c *trial) nowhere() {
	for i, n := range c.nodes {
		c.until(fmt.Sprintf("the end of the hold on node %d", i), func() bool {
			return !c.holdOn(n)
		})
		c.until(fmt.Sprintf("a client of node %d whose connections all work", i), func() bool {
			return c.works(n.s)
		})
	}
}

// works makes some calls at the same time and reports whether they all had answers.
func (c *trial) works(s core.Scripter) bool {
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	caller := c.on(s)
	var results []<-chan answer
	for range 8 {
		results = append(results, caller.start(ctx, caller.ways("return {1}")[0], []string{c.prefix}, nil))
	}
	ok := true
	for _, result := range results {
		got := wait(c, result, callTime()+c.overrun, "the return of a call")
		ok = ok && got.err == nil
	}
	return ok
}

// wipe deletes the holds of the case, as an operator might, and leaves meta.
func (c *trial) wipe() {
	for _, n := range c.nodes {
		var doomed []string
		for _, k := range c.keysOf(n) {
			if isHold(k) {
				doomed = append(doomed, c.prefix+k.name)
			}
		}
		if len(doomed) > 0 { // or the holder has found out, and has given up what was left
			c.on(n.side).mustEval("return {redis.call('DEL', unpack(KEYS))}", doomed, nil)
		}
	}
}
