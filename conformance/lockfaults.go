package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

const (
	unknownRule  = "a failure is an error of the node (core.NodeError), never core.ErrNotAcquired, which says that others hold the lock"
	boundRule    = "redlatch alone bounds waiting: Lock is back when its context ends, whatever the client does"
	twiceRule    = "every script is safe to run twice"
	rideRule     = "a lease outlasts faults that end before its deadline"
	majorityRule = "a majority of the nodes decides; one that hangs does not hold up a call"
	freeRule     = "what a fault leaves on a server is undone, or ends after Expiry at the latest"
)

// lockFaultChecks are the cases, with a proxy before each server, that all kinds of
// lock share.
func lockFaultChecks(k lockKind) []check {
	checks := []check{
		{name: "CancelInFlight", rule: boundRule, proxied: true, run: k.on(cancelInFlight)},
		{name: "ExclusionUnderFaults", rule: excludeRule, proxied: true, run: k.on(exclusionUnderFaults)},
		{name: "LostByStall", rule: loseRule, proxied: true, run: k.on(lostByStall)},
		{name: "Abandoned", rule: freeRule, proxied: true, run: k.on(abandoned)},
		{name: "CutWhileHeld", rule: rideRule, proxied: true, run: k.on(cutWhileHeld)},
		{name: "CutWhileWaiting", rule: waitRule, proxied: true, run: k.on(cutWhileWaiting)},
		{name: "LostReplyOfLock", rule: unknownRule, proxied: true, run: k.on(lostReplyOfLock)},
		{name: "LostReplyOfRelease", rule: freeRule, proxied: true, run: k.on(lostReplyOfRelease)},
		{name: "DoubleDelivery", rule: twiceRule, proxied: true, run: k.on(lockDoubleDelivery)},
		{name: "SlowServer", rule: latencyRule, proxied: true, run: k.on(lockSlowServer)},
		{name: "Unreachable", rule: unknownRule, proxied: true, run: k.on(unreachable)},
	}
	if !k.one {
		checks = append(checks, check{name: "MinorityHangs", rule: majorityRule, proxied: true, run: k.on(minorityHangs)})
	}
	return checks
}

// proxies calls f with each proxy.
func (c *trial) proxies(f func(p *proxy.Proxy)) {
	for _, n := range c.nodes {
		f(n.proxy)
	}
}

// total adds up a counter of all proxies.
func (c *trial) total(of func(proxy.Stats) int) (sum int) {
	c.proxies(func(p *proxy.Proxy) { sum += of(p.Stats()) })
	return sum
}

func cuts(s proxy.Stats) int    { return s.Cut }
func dropped(s proxy.Stats) int { return s.Dropped }
func marked(s proxy.Stats) int  { return s.Marked }

// tried counts what a client that runs into a fault sends: its call, or, where it has to
// connect first, its handshake, or nothing but the attempt.
func tried(s proxy.Stats) int { return s.Requests + s.Refused }

// atOnce is sooner than a client gives up by itself.
const atOnce = 4 * time.Second

// resume ends a stall. After a long one clients may have given calls up whose requests are
// still held back, and would be served after their own undo: these are lost.
func resume(p *proxy.Proxy, stalled time.Time) {
	if time.Since(stalled) > atOnce {
		p.Cut()
	}
	p.Resume()
}

// cancelInFlight has servers that do not answer, and a client that may not let go of
// its calls.
func cancelInFlight(c *trial, k lockKind) {
	l := c.used(c.locker(k, c.provider(patient()), "a"))
	stalled := time.Now()
	c.proxies(func(p *proxy.Proxy) { p.Stall(proxy.Both) })
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		ctx, cancel := context.WithCancel(c.ctx)
		if ended == context.DeadlineExceeded {
			ctx, cancel = context.WithTimeout(c.ctx, 200*time.Millisecond)
		}
		var result <-chan grant
		if ended == context.Canceled {
			c.underWay(marked, func() { result = c.lock(ctx, l) })
			cancel()
		} else {
			result = c.lock(ctx, l)
		}
		<-ctx.Done()
		g := wait(c, result, atOnce, "the return of Lock, with servers that do not answer, after the end of its context")
		cancel()
		if g.err == nil {
			c.fatalf("Lock with servers that do not answer: got a lease, want an error")
		}
		if !errors.Is(g.err, ended) {
			c.errorf("Lock with servers that do not answer: got %q, want it to be %v", g.err, ended)
		}
	}
	c.proxies(func(p *proxy.Proxy) { resume(p, stalled) })
	c.release("a lease", c.mustLock("Lock of another client after one was given up", c.locker(k, c.rival(patient()), "a")))
}

// exclusionUnderFaults has a crowd and one fault after another.
func exclusionUnderFaults(c *trial, k lockKind) {
	o := brisk()
	lockers := []core.Locker{c.used(c.locker(k, c.provider(o), "a")), c.locker(k, c.rival(o), "a")}
	w := newWitness(c, 1)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.crowd(lockers, 6, 0, stop)
	}()
	faults := []struct {
		name       string
		start, end func(p *proxy.Proxy)
		met        func(proxy.Stats) int // counts what has run into it
	}{
		{"duplicate", func(p *proxy.Proxy) { p.Duplicate(true) }, func(p *proxy.Proxy) { p.Duplicate(false) }, marked},
		{"drop", (*proxy.Proxy).DropReply, func(*proxy.Proxy) {}, dropped},
		{"cut", func(p *proxy.Proxy) { p.Cut() }, func(*proxy.Proxy) {}, tried},
		{"stall of replies", func(p *proxy.Proxy) { p.Stall(proxy.Replies) }, (*proxy.Proxy).Resume, tried},
		{"stall of requests", func(p *proxy.Proxy) { p.Stall(proxy.Requests) }, (*proxy.Proxy).Resume, tried},
		{"delay", func(p *proxy.Proxy) { p.Delay(20 * time.Millisecond) }, func(p *proxy.Proxy) { p.Delay(0) }, marked},
		{"refusal", func(p *proxy.Proxy) { p.Refuse(); p.Cut() }, (*proxy.Proxy).Accept, tried},
	}
	for round := range 2 * len(faults) {
		fault := faults[round%len(faults)]
		victim := c.nodes[round%len(c.nodes)].proxy
		before := fault.met(victim.Stats())
		fault.start(victim)
		// Long enough for calls to run into it, and until one has.
		for end := time.Now().Add(120 * time.Millisecond); time.Now().Before(end) || fault.met(victim.Stats()) == before; time.Sleep(5 * time.Millisecond) {
			if time.Since(end) > callTime() {
				c.fatalf("for %v nothing of the clients has run into a %s", callTime(), fault.name)
			}
		}
		fault.end(victim)
	}
	w.mu.Lock()
	grants := w.grants
	w.mu.Unlock()
	c.until("a grant after the faults", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.grants > grants
	})
	close(stop)
	wait(c, done, 2*callTime(), "the end of the crowd")
	if grants == 0 || c.total(cuts) == 0 || c.total(dropped) == 0 {
		c.errorf("got %d grants, %d cuts and %d lost replies during the faults, want some of each", grants, c.total(cuts), c.total(dropped))
	}
}

// lostByStall cuts the holder off without a sign: its lease must end before another
// client's begins.
func lostByStall(c *trial, k lockKind) {
	lease := c.taken(c.locker(k, c.provider(brisk()), "a"))
	c.proxies(func(p *proxy.Proxy) { p.Stall(proxy.Both) })
	next := c.mustLock("Lock of another client after the holder was cut off", c.locker(k, c.rival(lively()), "a"))
	if lease.Context().Err() == nil {
		c.errorf("the holder that was cut off still holds, until %v, when another client has the lock", lease.ValidUntil())
	}
	c.wantLost("a lease whose servers say nothing", lease, callTime())
	c.proxies((*proxy.Proxy).Resume)
	c.wantHeld("the earlier holder is back and has released", next)
	c.release("the next lease", next)
}

// abandoned has the holder's client vanish.
func abandoned(c *trial, k lockKind) {
	lease := c.taken(c.locker(k, c.provider(brisk()), "a"))
	rival := c.locker(k, c.rival(lively()), "a")
	c.proxies(func(p *proxy.Proxy) { p.Refuse(); p.Cut() })
	c.wantExcluded("TryLock just after the holder's client has vanished", rival, lease)
	next := c.mustLock("Lock after the holder's client has vanished", rival)
	if lease.Context().Err() == nil {
		c.errorf("the holder whose client has vanished still holds, until %v, when another client has the lock", lease.ValidUntil())
	}
	c.proxies((*proxy.Proxy).Accept)
	c.release("the next lease", next)
}

// cutWhileHeld cuts the connections before each extension.
func cutWhileHeld(c *trial, k lockKind) {
	o := lively()
	lease := c.mustLock("Lock of a free lock", c.locker(k, c.provider(o), "a"))
	c.everywhere()
	for range 4 {
		was := lease.ValidUntil()
		c.proxies(func(p *proxy.Proxy) { p.Cut() })
		c.until("an extension after a cut", func() bool {
			return lease.ValidUntil().After(was) || lease.Context().Err() != nil
		})
		c.wantHeld("a cut of the connections", lease)
	}
	c.wantRefused("TryLock of another client after cuts", c.locker(k, c.rival(o), "a"))
	c.releaseAfterFault("a lease whose connections were cut", lease)
}

// cutWhileWaiting ends the subscription, and whatever else the waiter's client has.
func cutWhileWaiting(c *trial, k lockKind) {
	p := c.provider(patient())
	c.used(c.locker(k, p, "a"))
	for round := range 3 {
		// Where nobody has waited before, a waiter asks once without standing in line. It
		// has an answer when it stands there, and may ride out what follows.
		name := fmt.Sprint("a", round)
		lease := c.mustLock("Lock of a free lock", c.locker(k, c.rival(patient()), name))
		c.everywhere()
		result := c.lock(c.ctx, c.locker(k, p, name))
		c.waiting("a waiter", name, result)
		for _, n := range c.nodes {
			c.works(n.s) // the same for what it asks now
		}
		before := c.total(cuts)
		c.proxies(func(p *proxy.Proxy) { p.Cut() })
		c.release("a lease that another client waits for", lease)
		c.releaseAfterFault("the waiter's lease", c.granted("the lock of a waiter whose connections were cut", result))
		c.nowhere()
		if _, ok := c.s.(core.Subscriber); ok && c.total(cuts) == before {
			c.errorf("the proxies had no connection to cut while a client waits")
		}
	}
}

func lostReplyOfLock(c *trial, k lockKind) {
	o := lively()
	l, rival := c.used(c.locker(k, c.provider(o), "a")), c.locker(k, c.rival(o), "a")
	for range 3 {
		before := c.total(dropped)
		c.proxies((*proxy.Proxy).DropReply)
		g := c.tryLock(l)
		if c.total(dropped) == before {
			c.fatalf("the proxies have dropped no reply")
		}
		if g.err == nil {
			c.wantRefused("TryLock of another client", rival)
			c.releaseAfterFault("a lease for which a reply was lost", g.lease)
		} else if errors.Is(g.err, core.ErrNotAcquired) {
			c.errorf("TryLock of a free lock whose reply is lost: got %q, want a lease or a core.NodeError", g.err)
		}
		c.release("the next lease", c.mustLock("Lock of another client after a lost reply", rival))
		c.nowhere()
	}
}

func lostReplyOfRelease(c *trial, k lockKind) {
	o := lively()
	l, rival := c.used(c.locker(k, c.provider(o), "a")), c.locker(k, c.rival(o), "a")
	for range 3 {
		lease := c.mustLock("Lock of a free lock", l)
		before := c.total(dropped)
		c.proxies((*proxy.Proxy).DropReply)
		c.releaseAfterFault("a lease, with a lost reply,", lease)
		if c.total(dropped) == before {
			c.fatalf("the proxies have dropped no reply")
		}
		c.release("the next lease", c.mustLock("Lock of another client after a release whose reply is lost", rival))
		c.nowhere()
	}
}

// lockDoubleDelivery has every script run twice.
func lockDoubleDelivery(c *trial, k lockKind) {
	o := lively()
	l, rival := c.used(c.locker(k, c.provider(o), "a")), c.used(c.locker(k, c.rival(o), "a"))
	c.proxies(func(p *proxy.Proxy) { p.Duplicate(true) })
	last := int64(0)
	for i := range 5 {
		lease := c.mustLock("Lock of a free lock whose scripts run twice", l)
		if i == 0 {
			c.sawTraffic()
			if c.total(func(s proxy.Stats) int { return s.Duplicated }) == 0 {
				c.release("a held lease", lease)
				c.skipf("the server refuses commands on a connection that has not authenticated, so that nothing can be delivered twice")
			}
		}
		if lease.Token() <= last {
			c.errorf("grant %d with scripts that run twice: got the token %d, want more than %d", i+1, lease.Token(), last)
		}
		last = lease.Token()
		was := lease.ValidUntil()
		c.until("an extension by scripts that run twice", func() bool {
			return lease.ValidUntil().After(was) || lease.Context().Err() != nil
		})
		c.wantHeld("an extension that ran twice", lease)
		c.wantRefused("TryLock of another client", rival)
		c.release("a lease whose scripts run twice", lease)
		c.release("the other's", c.mustLock("Lock of another client after a release that ran twice", rival))
	}
}

func lockSlowServer(c *trial, k lockKind) {
	const delay = 50 * time.Millisecond
	l := c.used(c.locker(k, c.provider(lively()), "a"))
	c.proxies(func(p *proxy.Proxy) { p.Delay(delay) })
	begin := time.Now()
	lease := c.mustLock(fmt.Sprintf("Lock of a free lock on servers that answer after %v", delay), l)
	if took := time.Since(begin); took < delay {
		c.errorf("Lock on servers that answer after %v has come back after %v", delay, took)
	}
	was := lease.ValidUntil()
	c.until("an extension on slow servers", func() bool {
		return lease.ValidUntil().After(was) || lease.Context().Err() != nil
	})
	c.wantHeld("an extension on slow servers", lease)
	c.release("a lease on slow servers", lease)
}

func unreachable(c *trial, k lockKind) {
	l := c.used(c.locker(k, c.provider(lively()), "a"))
	c.proxies(func(p *proxy.Proxy) { p.Refuse(); p.Cut() })
	g := c.tryLock(l)
	var failed *core.NodeError
	if g.err == nil || errors.Is(g.err, core.ErrNotAcquired) || !errors.As(g.err, &failed) {
		c.errorf("TryLock with no server to be reached: got %v, want a core.NodeError and not core.ErrNotAcquired", g.err)
	}
	c.proxies((*proxy.Proxy).Accept)
	c.until("a lock after the servers are back", func() bool {
		g := c.tryLock(l)
		if g.err == nil {
			c.releaseAfterFault("a lease after the servers are back", g.lease)
		}
		return g.err == nil
	})
}

// minorityHangs stalls one node of three or more.
func minorityHangs(c *trial, k lockKind) {
	if len(c.nodes) < 3 {
		c.skipf("needs at least 3 nodes of which a majority decides, and there is %d", len(c.nodes))
	}
	o := patient()
	begin := time.Now()
	l := c.used(c.locker(k, c.provider(o), "a"))
	// The first node is waited for, once, as long as four of its answers took.
	passing := 4 * time.Since(begin)
	hung := c.nodes[0].proxy
	stalled := time.Now()
	hung.Stall(proxy.Both)
	before := c.nodes[0].given()            // the proxy need not see what the client keeps back
	limit := (o.Expiry - o.MinValidity) / 2 // a call that waits for the node takes twice as long
	for range 3 {
		begin := time.Now()
		lease := c.mustLock("Lock with one node of three hanging", l)
		c.release("a lease that one node of three knows nothing of", lease)
		if took := time.Since(begin); took > limit+passing {
			c.errorf("Lock and Release with one node of %d hanging took %v, want less than %v", len(c.nodes), took, limit+passing)
		}
		passing = 0
	}
	if c.nodes[0].given() == before {
		c.errorf("the hanging node was not asked")
	}
	resume(hung, stalled)
}
