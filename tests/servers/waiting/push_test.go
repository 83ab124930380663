package waiting_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// gate lets subscriptions through only while it is open.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // closed while it is open
	tried  chan struct{} // a subscription has come to the gate
	breaks context.CancelFunc
}

func newGate() *gate { return &gate{opened: make(chan struct{}), tried: make(chan struct{}, 100)} }

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opened)
}

// shut closes the gate and breaks the subscription that has come through.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = make(chan struct{})
	for len(g.tried) > 0 {
		<-g.tried
	}
	g.breaks()
}

type gated struct {
	core.Scripter
	sub core.Subscriber
	*gate
}

func (g *gated) Subscribe(ctx context.Context, channel string, ready func(), deliver func(string)) error {
	g.mu.Lock()
	opened := g.opened
	inner, cancel := context.WithCancel(ctx)
	g.breaks = cancel
	g.mu.Unlock()
	defer cancel()
	g.tried <- struct{}{}
	select {
	case <-opened:
	case <-inner.Done():
		return inner.Err()
	}
	return g.sub.Subscribe(inner, channel, ready, deliver)
}

// Peer 18: a call that goes out between the refused attempt and the subscription, or
// while the subscription reconnects, costs a whole expiry.
func TestPeer18CallWithoutSubscription(t *testing.T) {
	s := clients.One(t)
	g := newGate()
	opts := &core.Options{MinBusyWait: 20 * time.Second, MaxBusyWait: 20 * time.Second}
	c := clients.ConnectWith(t, s.Addrs, opts, redis.Options{}, func(sc core.Scripter) core.Scripter {
		return &gated{sc, sc.(core.Subscriber), g}
	})
	holder := s.Connect(t, nil)

	name := clients.Name(t)
	held := clients.Take(t, holder.Mutex(name).Lock)
	w := clients.Wait(t, c.Mutex(name).Lock)
	s.Queued(t, clients.Mutex, name, 1)
	<-g.tried
	clients.Release(t, held) // nobody hears it
	g.open()
	began := time.Now()
	clients.Release(t, w.Lease(10*time.Second))
	t.Logf("called before the subscription: held %v after it", time.Since(began))

	held = clients.Take(t, holder.Mutex(name).Lock)
	w = clients.Wait(t, c.Mutex(name).Lock)
	s.Queued(t, clients.Mutex, name, 1)
	g.shut()
	<-g.tried                // it reconnects
	clients.Release(t, held) // nobody hears it
	g.open()
	began = time.Now()
	clients.Release(t, w.Lease(10*time.Second))
	t.Logf("called while reconnecting: held %v after it", time.Since(began))
	s.Clean(t, name)
}
