package sim

import (
	"fmt"
	"sync"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
)

// A provider is the real library on a client's links, with the client's locks.
type provider struct {
	*redlatch.Provider
	doors []door

	mu     sync.Mutex
	closed time.Time // when Close was called
}

// closedAt is when Close was called, and whether it was.
func (p *provider) closedAt() (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed, !p.closed.IsZero()
}

// shut calls Close. What a client may not see from then on is judged by its workers.
func (p *provider) shut() error {
	p.mu.Lock()
	if p.closed.IsZero() {
		p.closed = time.Now()
	}
	p.mu.Unlock()
	return p.Close()
}

// open gives a client a provider, in place of the one that it has.
func (r *run) open(cl *Client) error {
	nodes := cl.Nodes()
	if r.plan.NoPush {
		for i, n := range nodes {
			nodes[i] = struct{ core.Scripter }{n} // hides Subscribe
		}
	}
	lib, err := redlatch.New(&core.Options{
		Expiry: r.expiry(cl), ExtensionCadence: r.plan.Cadence, MaxBusyWait: r.plan.MaxBusyWait, Now: cl.now,
		RestartGuard: r.plan.Guard,
	}, nodes...)
	if err != nil {
		return err
	}
	p := &provider{Provider: lib}
	for i := range r.plan.Names {
		rw := p.RWMutex(fmt.Sprintf("rw-%d", i))
		limit := 1 + (i+int(r.plan.Seed))%3
		sem, err := p.Semaphore(fmt.Sprintf("semaphore-%d", i), limit)
		if err != nil {
			return err
		}
		permits := r.door(cl, p, sem.Locker(), checker.Permit, limit)
		permits.available = sem.Available
		p.doors = append(p.doors,
			r.door(cl, p, p.Mutex(fmt.Sprintf("mutex-%d", i)), checker.Exclusive, 0),
			r.door(cl, p, rw, checker.Exclusive, 0),
			r.door(cl, p, rw.RLocker(), checker.Shared, 0),
			permits,
		)
	}
	r.mu.Lock()
	r.closers = append(r.closers, p.shut)
	r.mu.Unlock()
	cl.provider.Store(p)
	return nil
}

func (r *run) door(cl *Client, p *provider, l core.Locker, kind checker.Kind, limit int) door {
	d := door{Locker: l, provider: p, request: checker.Request{
		Name: l.Name(), Client: fmt.Sprintf("client-%d", cl.Index), Kind: kind, Limit: limit,
	}}
	if kind == checker.Exclusive {
		d.register = r.register(l.Name())
	}
	return d
}
