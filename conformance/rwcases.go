package conformance

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
	"github.com/redlatch/redlatch/redlock"
)

const (
	shareLockRule = "any number of readers hold the lock together, each with a lease of its own, or one writer alone"
	readerRule    = "a reader's lease is its own: no other reader's lengthens or shortens it"
	turnRule      = "readers and writers get in by the order of their arrival: a waiting writer stops later readers"
)

var readerChecks = []check{
	{name: "ReadersTogether", rule: shareLockRule, run: readersTogether},
	{name: "WriterExcludesReaders", rule: shareLockRule, run: writerExcludesReaders},
	{name: "WriterWaits", rule: turnRule, run: writerWaits},
	{name: "ReaderExtension", rule: extendRule, run: readerExtension},
	{name: "ReaderAbandoned", rule: readerRule, proxied: true, run: readerAbandoned},
	{name: "ReaderDoubleDelivery", rule: twiceRule, proxied: true, run: readerDoubleDelivery},
	{name: "ReaderLostReply", rule: unknownRule, proxied: true, run: readerLostReply},
}

func (c *trial) rw(p *redlatch.Provider) *redlock.RWMutex {
	return p.RWMutex("a")
}

func readersTogether(c *trial) {
	mine, theirs := c.rw(c.provider(patient())), c.rw(c.rival(patient()))
	var leases []*core.Lease
	for i := range 10 {
		m := mine
		if i%2 == 1 {
			m = theirs
		}
		lease := c.mustLock("RLock beside other readers", m.RLocker())
		c.everywhere()
		if lease.Token() != 0 {
			c.errorf("a reader's lease: got the token %d, want 0", lease.Token())
		}
		leases = append(leases, lease)
	}
	for _, lease := range leases {
		c.wantHeld("other readers' RLock", lease)
		c.wantRefused("TryLock of a writer while there are readers", theirs)
		c.release("a reader's lease", lease)
	}
	c.release("a writer's lease", c.mustLock("Lock after the last reader", theirs))
}

func writerExcludesReaders(c *trial) {
	mine, theirs := c.rw(c.provider(patient())), c.rw(c.rival(patient()))
	writer := c.mustLock("Lock of a free lock", mine)
	c.everywhere()
	c.wantRefused("TryRLock of another client while there is a writer", theirs.RLocker())
	c.wantRefused("TryRLock of the same client while there is a writer", mine.RLocker())
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	reader := c.lock(ctx, theirs.RLocker())
	c.waiting("a reader", "a", reader)
	c.wantHeld("a reader waiting", writer)
	c.release("the writer's lease", writer)
	lease := c.granted("the reader's lock after the writer's release", reader)
	c.wantRefused("TryLock of a writer while there is a reader", mine)
	c.release("the reader's lease", lease)
}

// writerWaits has readers come after a waiting writer. The order is that of the line on one
// node, which is passed over when it is silent for 100 ms, as is a waiter that was called and
// has not come: with that much delay a reader may overtake, but not time after time.
func writerWaits(c *trial) {
	const silence, rounds = 100 * time.Millisecond, 3
	mine, theirs := c.rw(c.provider(patient())), c.rw(c.rival(patient()))
	for range rounds {
		by, took := c.overtake(mine, theirs)
		if by == "" {
			return
		}
		if took < silence {
			c.fatalf("%s of a reader that came after a waiting writer: got a lease before the writer did, %v after the first reader asked for its own", by, took)
		}
		c.nowhere()
	}
	c.errorf("in %d rounds of %d a reader that came after a waiting writer had the lock before it", rounds, rounds)
}

// overtake has readers try to get in before a waiting writer. It returns by which call one
// did, if any, and how long after the first reader had asked.
func (c *trial) overtake(mine, theirs *redlock.RWMutex) (by string, took time.Duration) {
	began := time.Now()
	first := c.mustLock("RLock of a free lock", mine.RLocker())
	c.everywhere()
	ctx, cancel := context.WithTimeout(c.ctx, 2*callTime())
	defer cancel()
	writer := c.lock(ctx, theirs)
	c.waiting("a writer", "a", writer)
	if g := c.tryLock(mine.RLocker()); g.err == nil {
		by, took = "TryRLock", time.Since(began)
		c.release("the lease of a reader that has overtaken", g.lease)
	} else if !errors.Is(g.err, core.ErrNotAcquired) {
		c.errorf("TryRLock while a writer waits: got %q, want core.ErrNotAcquired", g.err)
	}
	late := c.lock(ctx, mine.RLocker())
	c.release("the first reader's lease", first)
	select {
	case g := <-late:
		if g.err != nil {
			c.fatalf("RLock of a reader that came after a waiting writer: got %q, want a lease", g.err)
		}
		by, took = "RLock", time.Since(began)
		c.release("the lease of a reader that has overtaken", g.lease)
		c.release("the writer's lease", c.granted("the writer's lock after the last reader's release", writer))
	case g := <-writer:
		if g.err != nil {
			c.fatalf("the writer's lock after the last reader's release: got %q, want a lease", g.err)
		}
		c.release("the writer's lease", g.lease)
		c.release("the late reader's lease", c.granted("the late reader's lock", late))
	}
	return by, took
}

func readerExtension(c *trial) {
	o := lasting()
	lease := c.taken(c.rw(c.provider(o)).RLocker())
	c.outlast(lease, o)
	c.wantRefused("TryLock of a writer after Expiry", c.rw(c.rival(lively())))
	c.release("a reader's lease", lease)
}

// readerAbandoned has one reader vanish while another goes on: a writer waits for
// both, but for neither longer than that one's own lease.
func readerAbandoned(c *trial) {
	gone := c.taken(c.rw(c.provider(brisk())).RLocker())
	other := c.rw(c.rival(lively()))
	stays := c.mustLock("RLock beside another reader", other.RLocker())
	c.proxies(func(p *proxy.Proxy) { p.Refuse(); p.Cut() })
	c.wantLost("a reader's lease whose client has vanished", gone, callTime())
	c.wantHeld("another reader's client has vanished", stays)
	c.wantRefused("TryLock of a writer while one reader is left", other)
	c.release("the other reader's lease", stays)
	// The first writer may find the vanished reader's lease over on a majority of the nodes
	// only. What is left on another lasts as long as that of the reader who stayed, unless a
	// writer comes by.
	c.until("the end of the readers on all nodes", func() bool {
		c.release("the writer's lease", c.mustLock("Lock after the last live reader", other))
		return !slices.ContainsFunc(c.nodes, c.holdOn)
	})
	c.proxies((*proxy.Proxy).Accept)
}

// readerDoubleDelivery would leave a reader behind, or take one too many away, if
// readers were counted.
func readerDoubleDelivery(c *trial) {
	mine, theirs := c.rw(c.provider(patient())), c.rw(c.rival(patient()))
	c.used(mine)
	c.used(mine.RLocker())
	c.proxies(func(p *proxy.Proxy) { p.Duplicate(true) })
	for range 5 {
		once := c.mustLock("RLock of a free lock", theirs.RLocker())
		twice := c.mustLock("RLock whose scripts run twice", mine.RLocker())
		c.release("a reader's lease whose scripts run twice", twice)
		c.wantRefused("TryLock of a writer while one reader is left", theirs)
		c.release("the other reader's lease", once)
		c.release("the writer's lease", c.mustLock("Lock after the last reader", theirs))
	}
	if c.total(func(s proxy.Stats) int { return s.Duplicated }) == 0 {
		c.sawTraffic()
		c.skipf("the server refuses commands on a connection that has not authenticated, so that nothing can be delivered twice")
	}
}

func readerLostReply(c *trial) {
	o := lively()
	mine, theirs := c.rw(c.provider(o)), c.rw(c.rival(o))
	c.used(mine.RLocker())
	for range 3 {
		stays := c.mustLock("RLock of a free lock", theirs.RLocker())
		before := c.total(dropped)
		c.proxies((*proxy.Proxy).DropReply)
		g := c.tryLock(mine.RLocker())
		if c.total(dropped) == before {
			c.fatalf("the proxies have dropped no reply")
		}
		if g.err == nil {
			c.releaseAfterFault("a reader's lease for which a reply was lost", g.lease)
		}
		c.wantHeld("another reader's reply was lost", stays)
		c.wantRefused("TryLock of a writer while one reader is left", theirs)
		c.release("the other reader's lease", stays)
		c.release("the writer's lease", c.mustLock("Lock after a reader whose reply was lost", theirs))
	}
}
