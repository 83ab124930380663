package conformance

import (
	"context"
	"errors"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
	"github.com/redlatch/redlatch/semaphore"
)

const (
	limitRule = "a semaphore never has more live permits than its limit; a slot is a number below it that no other live holder has"
	sameRule  = "the limit binds while somebody holds a permit or waits: another one is core.ErrInvalid"
)

var semaphoreChecks = []check{
	{name: "Limit", rule: limitRule, run: semaphoreLimit},
	{name: "LimitInACrowd", rule: limitRule, run: semaphoreCrowd},
	{name: "LimitDisagrees", rule: sameRule, run: semaphoreDisagrees},
	{name: "PermitAbandoned", rule: freeRule, proxied: true, run: permitAbandoned},
	{name: "PermitDoubleDelivery", rule: twiceRule, proxied: true, run: permitDoubleDelivery},
}

func (c *trial) semaphore(p *redlatch.Provider, limit int) *semaphore.Semaphore {
	s, err := p.Semaphore("a", limit)
	if err != nil {
		c.fatalf("making a semaphore of %d: got %q, want no error", limit, err)
	}
	return s
}

func (c *trial) available(s *semaphore.Semaphore) (int, error) {
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	return s.Available(ctx)
}

func (c *trial) wantAvailable(what string, s *semaphore.Semaphore, want int) {
	if got, err := c.available(s); err != nil || got != want {
		c.errorf("Available %s: got %d, %v, want %d, nil", what, got, err, want)
	}
}

func semaphoreLimit(c *trial) {
	c.nodes = c.nodes[:1]
	const limit = 3
	mine, theirs := c.semaphore(c.provider(patient()), limit), c.semaphore(c.rival(patient()), limit)
	for range 3 {
		slots := map[int]bool{}
		var leases []*core.Lease
		for i := range limit {
			c.wantAvailable("before a permit is taken", theirs, limit-i)
			s := mine
			if i%2 == 1 {
				s = theirs
			}
			lease := c.mustLock("Acquire with a permit free", s.Locker())
			if slot := lease.Slot(); slot < 0 || slot >= limit || slots[slot] {
				c.errorf("permit %d of %d: got the slot %d, want one from 0 to %d beside %v", i+1, limit, slot, limit-1, slots)
			}
			slots[lease.Slot()] = true
			leases = append(leases, lease)
		}
		c.wantAvailable("with all permits taken", mine, 0)
		c.wantRefused("TryAcquire of the client with all permits taken", mine.Locker())
		c.wantRefused("TryAcquire of another client with all permits taken", theirs.Locker())
		freed := leases[1].Slot()
		c.release("a permit", leases[1])
		lease := c.mustLock("Acquire after a release", theirs.Locker())
		if lease.Slot() != freed {
			c.errorf("the permit after a release of slot %d: got the slot %d, want that one", freed, lease.Slot())
		}
		for _, l := range []*core.Lease{leases[0], lease, leases[2]} {
			c.release("a permit", l)
		}
		c.wantAvailable("with all permits free", mine, limit)
	}
}

func semaphoreCrowd(c *trial) {
	c.nodes = c.nodes[:1]
	const limit = 3
	mine, theirs := c.semaphore(c.provider(patient()), limit), c.semaphore(c.rival(patient()), limit)
	w := newWitness(c, limit)
	w.crowd([]core.Locker{mine.Locker(), theirs.Locker()}, 12, 4, nil)
	if w.grants != 48 {
		c.errorf("got %d grants, want 48", w.grants)
	}
	if w.most < 2 {
		c.errorf("at most %d permits were held at a time, want some together", w.most)
	}
	c.wantAvailable("after the crowd", mine, limit)
}

func semaphoreDisagrees(c *trial) {
	c.nodes = c.nodes[:1]
	lease := c.mustLock("Acquire with a permit free", c.semaphore(c.provider(patient()), 2).Locker())
	other := c.semaphore(c.rival(patient()), 3)
	if g := c.tryLock(other.Locker()); !errors.Is(g.err, core.ErrInvalid) {
		c.errorf("TryAcquire with the limit 3 while 2 is in force: got %v, want core.ErrInvalid", g.err)
	}
	c.release("a permit", lease)
	c.release("a permit", c.mustLock("Acquire with another limit when nobody holds", other.Locker()))
}

func permitAbandoned(c *trial) {
	c.nodes = c.nodes[:1]
	const limit = 2
	mine, theirs := c.semaphore(c.provider(brisk()), limit), c.semaphore(c.rival(lively()), limit)
	gone := c.taken(mine.Locker())
	stays := c.mustLock("Acquire with a permit free", theirs.Locker())
	c.proxies(func(p *proxy.Proxy) { p.Refuse(); p.Cut() })
	switch n, err := c.available(theirs); {
	case err != nil || n > limit-1:
		c.errorf("Available with one permit held: got %d, %v, want at most %d, nil", n, err, limit-1)
	case n > 0 && gone.Context().Err() == nil: // now, so it was held then
		c.errorf("Available just after a holder's client has vanished: got %d, want 0: its lease is valid until %v", n, gone.ValidUntil())
	}
	lease := c.mustLock("Acquire after a holder's client has vanished", theirs.Locker())
	if gone.Context().Err() == nil {
		c.errorf("the holder whose client has vanished still holds, until %v, when another has its permit", gone.ValidUntil())
	}
	c.wantHeld("another holder's client has vanished", stays)
	c.proxies((*proxy.Proxy).Accept)
	c.release("a permit", lease)
	c.release("a permit", stays)
}

// permitDoubleDelivery would lose permits, or make them up, if they were counted.
func permitDoubleDelivery(c *trial) {
	c.nodes = c.nodes[:1]
	const limit = 3
	mine, theirs := c.semaphore(c.provider(patient()), limit), c.semaphore(c.rival(patient()), limit)
	c.used(mine.Locker())
	c.proxies(func(p *proxy.Proxy) { p.Duplicate(true) })
	for range 5 {
		lease := c.mustLock("Acquire whose scripts run twice", mine.Locker())
		c.wantAvailable("with one permit taken, twice", theirs, limit-1)
		c.release("a permit", lease)
		c.until("all permits free after a release that ran twice", func() bool {
			ctx, cancel := context.WithTimeout(c.ctx, time.Second)
			defer cancel()
			n, err := theirs.Available(ctx)
			return n == limit && err == nil
		})
	}
	if c.total(func(s proxy.Stats) int { return s.Duplicated }) == 0 {
		c.sawTraffic()
		c.skipf("the server refuses commands on a connection that has not authenticated, so that nothing can be delivered twice")
	}
}
