package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/options"
)

const (
	excludeRule = "while a lease's context has not ended, nobody else holds the lock"
	fenceRule   = "a lease's fencing token is higher than that of every earlier holder of the name"
	waitRule    = "Lock waits until the lock is held or ctx ends; what ends the wait can be told from the error"
	extendRule  = "a lease is extended in the background until it is released or lost"
	loseRule    = "a lease's context ends, with cause core.ErrLost, the moment that exclusivity can no longer be guaranteed"
	closeRule   = "Provider.Close ends waiting calls with core.ErrClosed and releases every lease"
	nameRule    = "any name will do, and different names are different locks"
)

// lockChecks are the cases, without faults, that all kinds of lock share.
func lockChecks(k lockKind) []check {
	return []check{
		{name: "Extension", rule: extendRule, run: k.on(extension)},
		{name: "Exclusion", rule: excludeRule, run: k.on(exclusion)},
		{name: "LockRelease", rule: excludeRule, run: k.on(lockRelease)},
		{name: "Tokens", rule: fenceRule, run: k.on(tokens)},
		{name: "Wait", rule: waitRule, run: k.on(waitForRelease)},
		{name: "WaitWithoutPush", rule: "a Scripter need not be a core.Subscriber; without it waiters poll", run: k.on(waitWithoutPush)},
		{name: "WaitDeadline", rule: waitRule, run: k.on(waitDeadline)},
		{name: "WaitCancel", rule: waitRule, run: k.on(waitCancel)},
		{name: "Lost", rule: loseRule, run: k.on(lost)},
		{name: "Names", rule: nameRule, run: k.on(names)},
		{name: "Close", rule: closeRule, run: k.on(closeProvider)},
	}
}

func lockRelease(c *trial, k lockKind) {
	l, rival := c.locker(k, c.provider(patient()), "a"), c.locker(k, c.rival(patient()), "a")
	for range 5 {
		lease := c.mustLock("Lock of a free lock", l)
		c.wantRefused("TryLock of another client while it is held", rival)
		c.wantRefused("TryLock of the same client while it is held", l)
		c.wantHeld("a refused TryLock of others later", lease)
		c.release("a held lease", lease)
		if !errors.Is(context.Cause(lease.Context()), core.ErrReleased) {
			c.errorf("the context of a released lease: got the cause %v, want core.ErrReleased", context.Cause(lease.Context()))
		}
		select {
		case <-lease.Lost():
			c.errorf("Lost of a released lease is closed, want it open")
		default:
		}
		c.release("the other client's lease", c.mustLock("Lock of another client after the release", rival))
	}
}

// tokens alternates between two clients.
func tokens(c *trial, k lockKind) {
	lockers := []core.Locker{c.locker(k, c.provider(patient()), "a"), c.locker(k, c.rival(patient()), "a")}
	last := int64(0)
	for i := range 30 {
		lease := c.mustLock("Lock of a free lock", lockers[i%2])
		if token := lease.Token(); token <= last {
			c.errorf("grant %d: got the token %d, want more than %d", i+1, token, last)
		}
		last = lease.Token()
		c.release("a held lease", lease)
	}
}

// A witness sees every claim of a case on one clock.
type witness struct {
	c      *trial
	limit  int // holders allowed at a time
	mu     sync.Mutex
	claims map[*core.Lease]bool
	grants int
	most   int // claims seen at a time
}

func newWitness(c *trial, limit int) *witness {
	return &witness{c: c, limit: limit, claims: map[*core.Lease]bool{}}
}

// enter takes note of a new claim and counts those that have not ended.
func (w *witness) enter(lease *core.Lease) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.grants++
	w.claims[lease] = true
	live := 0
	for other := range w.claims {
		if other.Context().Err() == nil {
			live++
		}
	}
	w.most = max(w.most, live)
	if live > w.limit {
		w.c.errorf("grant %d: %d leases of %q are held at the same time, want at most %d", w.grants, live, lease.Name(), w.limit)
	}
}

// leave must come before Release.
func (w *witness) leave(lease *core.Lease) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.claims, lease)
}

// crowd has goroutines of both clients contend for a lock until each has held it
// rounds times, or, with rounds 0, until stop is closed. It returns how many errors
// other than the context's there were.
func (w *witness) crowd(lockers []core.Locker, goroutines, rounds int, stop <-chan struct{}) (failed int64) {
	var wg sync.WaitGroup
	var failures atomic.Int64
	for i := range goroutines {
		wg.Go(func() {
			for n := 0; rounds == 0 || n < rounds; n++ {
				select {
				case <-stop:
					return
				case <-w.c.ctx.Done():
					return
				default:
				}
				ctx, cancel := context.WithTimeout(w.c.ctx, callTime())
				lease, err := lockers[i%len(lockers)].Lock(ctx)
				cancel()
				if err != nil {
					if rounds > 0 {
						w.c.errorf("Lock in a crowd: got %q, want a lease", err)
						return
					}
					failures.Add(1)
					continue
				}
				w.enter(lease)
				time.Sleep(time.Millisecond) // the work under the lock
				w.awaitCompany()
				w.leave(lease)
				if err := lease.Release(w.c.ctx); err != nil && rounds > 0 {
					w.c.errorf("Release in a crowd: got %q, want no error", err)
				}
			}
		})
	}
	wg.Wait()
	return failures.Load()
}

// awaitCompany stays in, where several may be, until several have been: a slow server
// would let in one after the other.
func (w *witness) awaitCompany() {
	if w.limit == 1 {
		return
	}
	for end := time.Now().Add(callTime()); time.Now().Before(end); time.Sleep(time.Millisecond) {
		w.mu.Lock()
		most := w.most
		w.mu.Unlock()
		if most > 1 {
			return
		}
	}
}

func exclusion(c *trial, k lockKind) {
	const goroutines, rounds = 8, 5
	lockers := []core.Locker{c.locker(k, c.provider(patient()), "a"), c.locker(k, c.rival(patient()), "a")}
	lease := c.mustLock("Lock of a free lock", lockers[0])
	c.everywhere()
	w := newWitness(c, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.crowd(lockers, goroutines, rounds, nil)
	}()
	c.waiting("a crowd", "a", nil) // so that there is contention
	c.release("the lease that the crowd waits for", lease)
	wait(c, done, 2*callTime(), "the end of the crowd")
	if w.grants != goroutines*rounds {
		c.errorf("got %d grants, want %d", w.grants, goroutines*rounds)
	}
}

// handOver has a waiter of one client wait for the release of another's.
func (c *trial) handOver(k lockKind, l, rival core.Locker) {
	for range 3 {
		lease := c.mustLock("Lock of a free lock", l)
		c.everywhere()
		ctx, cancel := context.WithTimeout(c.ctx, callTime())
		result := c.lock(ctx, rival)
		c.waiting("the other client", "a", result)
		select {
		case g := <-result:
			c.errorf("Lock of a held lock has returned: got error %v, want it to wait", g.err)
		default:
			c.wantHeld("somebody waiting", lease)
		}
		c.release("a lease that another client waits for", lease)
		c.release("the waiter's lease", c.granted("the waiter's lock after the release", result))
		cancel()
		c.nowhere()
	}
}

func waitForRelease(c *trial, k lockKind) {
	c.handOver(k, c.locker(k, c.provider(patient()), "a"), c.locker(k, c.rival(patient()), "a"))
}

// mute hides Subscribe.
type mute struct{ core.Scripter }

func waitWithoutPush(c *trial, k lockKind) {
	muted := c.locker(k, c.providerOn(patient(), func(n node) core.Scripter { return mute{n.s} }), "a")
	pushed := c.locker(k, c.rival(patient()), "a")
	c.handOver(k, pushed, muted)
	c.handOver(k, muted, pushed)
}

func waitDeadline(c *trial, k lockKind) {
	lease := c.mustLock("Lock of a free lock", c.locker(k, c.provider(patient()), "a"))
	c.everywhere()
	rival := c.locker(k, c.rival(patient()), "a")
	ctx, cancel := context.WithTimeout(c.ctx, time.Second)
	defer cancel()
	g := wait(c, c.lock(ctx, rival), callTime(), "the return of Lock after its deadline")
	if !errors.Is(g.err, core.ErrNotAcquired) || !errors.Is(g.err, context.DeadlineExceeded) {
		c.errorf("Lock of a held lock after its deadline: got %v, want core.ErrNotAcquired and %v", g.err, context.DeadlineExceeded)
	}
	c.wantHeld("others have given up waiting", lease)
	c.release("a lease that others have given up on", lease)
}

// waitCancel cancels the head of the line: the next one must not be held up by it.
func waitCancel(c *trial, k lockKind) {
	l := c.locker(k, c.provider(patient()), "a")
	lease := c.mustLock("Lock of a free lock", l)
	c.everywhere()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	head := c.lock(ctx, c.locker(k, c.rival(patient()), "a"))
	c.waiting("the head of the line", "a", head)
	c.told("the head of the line", "a")
	next := c.lock(c.ctx, l)
	cancel()
	g := wait(c, head, callTime(), "the return of a cancelled Lock")
	if !errors.Is(g.err, core.ErrNotAcquired) || !errors.Is(g.err, context.Canceled) {
		c.errorf("Lock of a held lock, cancelled: got %v, want core.ErrNotAcquired and %v", g.err, context.Canceled)
	}
	c.release("a held lease", lease)
	c.release("the next waiter's lease", c.granted("the lock of the waiter behind one that was cancelled", next))
}

// extension holds a lock until after its first hold would have ended.
func extension(c *trial, k lockKind) {
	o := lasting()
	lease := c.taken(c.locker(k, c.provider(o), "a"))
	c.outlast(lease, o)
	c.wantRefused("TryLock of another client after Expiry", c.locker(k, c.rival(lively()), "a"))
	c.release("a lease held for longer than Expiry", lease)
}

// outlast waits until an extension has been confirmed that was sent when nothing could
// have been left of the lease as it is now.
func (c *trial) outlast(lease *core.Lease, o *core.Options) {
	past := time.Now().Add(o.Expiry + o.Expiry - options.Drift(o.Expiry))
	c.until("an extension of the lease an Expiry later", func() bool {
		return lease.ValidUntil().After(past) || lease.Context().Err() != nil
	})
	c.wantHeld("an Expiry after Lock", lease)
}

// lost has the hold deleted under its holder.
func lost(c *trial, k lockKind) {
	l := c.locker(k, c.provider(lively()), "a")
	lease := c.mustLock("Lock of a free lock", l)
	c.everywhere()
	c.wipe()
	c.wantLost("a lease whose keys were deleted", lease, callTime())
	c.release("a lease", c.mustLock("Lock after the loss", l))
}

// closeProvider closes a provider that has a held lock and a waiter; what is then on
// the servers is looked at when the case is over.
func closeProvider(c *trial, k lockKind) {
	for i := range 5 {
		name := fmt.Sprint("close", i)
		p := c.provider(patient())
		l := c.locker(k, p, name)
		lease := c.mustLock("Lock of a free lock", l)
		result := c.lock(c.ctx, l)
		closed := make(chan error, 1)
		go func() { closed <- p.Close() }()
		if err := wait(c, closed, callTime(), "Close's return"); err != nil {
			c.errorf("Close: got %q, want no error", err)
		}
		if g := wait(c, result, callTime(), "the waiter's return after Close"); !errors.Is(g.err, core.ErrClosed) {
			c.errorf("Lock that waits during Close: got %v, want core.ErrClosed", g.err)
		}
		if cause := context.Cause(lease.Context()); !errors.Is(cause, core.ErrClosed) || !errors.Is(cause, core.ErrReleased) {
			c.errorf("the context of a lease of a closed provider: got the cause %v, want core.ErrClosed and core.ErrReleased", cause)
		}
		c.release("a lease", c.mustLock("Lock of another client after Close", c.locker(k, c.rival(patient()), name)))
	}
}

func names(c *trial, k lockKind) {
	p, r := c.provider(patient()), c.rival(patient())
	for _, name := range append(odd(), strings.Repeat("long", 250), "a", "A") {
		lease := c.mustLock(fmt.Sprintf("Lock of the free lock %q", name), c.locker(k, p, name))
		if lease.Name() != name {
			c.errorf("a lease of the lock %q: got the name %q", name, lease.Name())
		}
		c.wantRefused(fmt.Sprintf("TryLock of %q while it is held", name), c.locker(k, r, name))
		other := c.mustLock("Lock of a free lock whose name is longer than a held one's", c.locker(k, r, name+"x"))
		c.release("it", other)
		c.release(fmt.Sprintf("a lease of %q", name), lease)
	}
}
