//go:build unix

package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
)

// A resource is one way to take one lock, with the name that the checker knows it by.
type resource struct {
	name  string
	kind  checker.Kind
	limit int
	lock  core.Locker
}

// The names, those of locks for mutexes and reader-writer locks alike, and the
// semaphores with their limits. Braces are part of names, too.
var (
	lockNames  = []string{"orders", "{tag}:stock", "a}b"}
	semaphores = map[string]int{"seats": 2, "{tag}:desks": 3}
)

func resources(p *redlatch.Provider) ([]resource, error) {
	var all []resource
	for _, name := range lockNames {
		m := p.Mutex(name)
		rw := p.RWMutex(name)
		all = append(all,
			resource{"mutex:" + name, checker.Exclusive, 0, m},
			resource{"rw:" + name, checker.Exclusive, 0, rw},
			resource{"rw:" + name, checker.Shared, 0, rw.RLocker()})
	}
	for name, limit := range semaphores {
		s, err := p.Semaphore(name, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, resource{"semaphore:" + name, checker.Permit, limit, s.Locker()})
	}
	return all, nil
}

// A caller is one goroutine that takes one lock, or several at once, after another.
type caller struct {
	*worker
	things []resource
	dice   *rand.Rand
}

func (c *caller) run() {
	for c.ctx.Err() == nil {
		wanted := []resource{c.things[c.dice.IntN(len(c.things))]}
		if c.chance(10) && !c.calm.Load() { // in calm, what is held must be on record
			wanted = c.several()
		}
		c.take(wanted)
		c.pause(c.upTo(10 * time.Millisecond))
	}
}

func (c *caller) chance(percent int) bool { return c.dice.IntN(100) < percent }

func (c *caller) upTo(d time.Duration) time.Duration {
	return time.Duration(c.dice.Int64N(int64(d)))
}

func (c *caller) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.ctx.Done():
	}
}

// several picks two or three resources of different names.
func (c *caller) several() []resource {
	var some []resource
	names := map[string]bool{}
	for _, i := range c.dice.Perm(len(c.things)) {
		if r := c.things[i]; len(some) < 3 && !names[r.name] && (len(some) < 2 || c.chance(30)) {
			names[r.name] = true
			some = append(some, r)
		}
	}
	return some
}

// patience returns how long to wait for a lock; 0: one attempt.
func (c *caller) patience() time.Duration {
	switch {
	case c.chance(20):
		return 0
	case c.calm.Load():
		return time.Minute
	case c.chance(20):
		return time.Millisecond + c.upTo(50*time.Millisecond)
	}
	return time.Millisecond + c.upTo(4*time.Second)
}

// take acquires what is wanted, all of it or nothing, holds it for a while and gives
// it back.
func (c *caller) take(wanted []resource) {
	wait := c.patience()
	limit := wait
	if wait == 0 {
		limit = 10 * time.Second // far more than one attempt takes
	}
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()

	claims := make([]claim, len(wanted))
	lockers := make([]core.Locker, len(wanted))
	for i, r := range wanted {
		claims[i] = claim{resource: r, id: c.lastID.Add(1)}
		lockers[i] = r.lock
		c.send(report{Kind: asked, ID: claims[i].id, At: c.clock.now(), Name: r.name, Claim: r.kind, Limit: r.limit})
	}
	var lease *core.Lease
	var err error
	switch {
	case len(wanted) > 1:
		lease, err = core.LockAll(ctx, lockers...)
	case wait == 0:
		lease, err = wanted[0].lock.TryLock(ctx)
	default:
		lease, err = wanted[0].lock.Lock(ctx)
	}
	if err != nil {
		now := c.clock.now()
		why := c.failed(ctx, wanted, wait, err)
		for _, k := range claims {
			c.send(report{Kind: gaveUp, ID: k.id, At: now, Text: why})
		}
		return
	}
	for i := range claims {
		claims[i].lease = lease
		if len(wanted) > 1 {
			claims[i].lease = lease.Members()[i]
		}
	}
	c.hold(lease, claims)
}

// failed judges an error of acquiring and returns its class.
func (c *caller) failed(ctx context.Context, wanted []resource, wait time.Duration, err error) string {
	var node *core.NodeError
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	held, failing := errors.Is(err, core.ErrNotAcquired), errors.As(err, &node)
	switch {
	case errors.Is(err, core.ErrInvalid):
		c.wrongf("acquiring %s: %v: nothing here is invalid", wanted[0].name, err)
	case errors.Is(err, core.ErrClosed):
		c.wrongf("acquiring %s: %v: the provider is open", wanted[0].name, err)
	case ended && ctx.Err() == nil:
		c.wrongf("acquiring %s: %v: its context has not ended", wanted[0].name, err)
	case held && !failing && !ended && wait > 0 && len(wanted) == 1:
		c.wrongf("acquiring %s: Lock left before its context ended, though held by others: %v", wanted[0].name, err)
	case held && failing && len(wanted) == 1:
		c.wrongf("acquiring %s: %v: it is others, or it is the nodes", wanted[0].name, err)
	case ended:
		return "context ended"
	case errors.Is(err, core.ErrLost) && len(wanted) > 1:
		return "lost while taking the others"
	case held && failing:
		return "held by others, and nodes failed at the release of the rest"
	case held:
		return "held by others"
	case failing:
		return "nodes failed"
	case errors.Is(err, core.ErrLost):
		c.wrongf("acquiring %s: %v: there was no lease to lose", wanted[0].name, err)
	default:
		c.wrongf("acquiring %s: %v: an error of no documented kind", wanted[0].name, err)
	}
	return "wrong"
}
