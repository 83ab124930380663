package rwsem_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/rwsem/clients"
	"github.com/redlatch/redlatch/internal/integration/sim"
	"github.com/redlatch/redlatch/internal/proxy"
)

// The failures that peers are known for, by the numbers under which the project lists
// them. Others of them are in virtual_test.go.

// Peer 12: readers are counted, and the clean-up of one that was refused takes away
// somebody else's hold.
func TestPeer12RefusedReaderTakesNothingAway(t *testing.T) {
	s, proxies := clients.Three(t).Proxied(t)
	name := clients.Name(t)
	holder := clients.Take(t, clients.Three(t).Connect(t, nil).RWMutex(name).RLock)
	clumsy := s.Connect(t, nil).RWMutex(name)
	writer := clients.Three(t).Connect(t, nil).RWMutex(name)

	// Its attempts reach all nodes, two of which do not answer in time.
	clients.Release(t, clients.Take(t, clumsy.RLock))
	for _, p := range proxies[1:] {
		p.Stall(proxy.Replies)
	}
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if l, err := clumsy.TryRLock(ctx); err == nil {
			t.Error("got a lease from a minority")
			clients.Release(t, l)
		}
		cancel()
	}
	for _, p := range proxies[1:] {
		if p.Stats().Requests == 0 {
			t.Error("nothing reached a stalled node")
		}
		p.Duplicate(true) // what undoes the attempts comes twice
		p.Resume()
	}
	// A reader's own release comes twice as well.
	own := clients.Take(t, clumsy.RLock)
	clients.Release(t, own)
	_ = own.Release(t.Context())
	s.Readers(t, name, 1)
	_, err := writer.TryLock(t.Context())
	refused(t, "a writer beside the first reader", err)
	if holder.Context().Err() != nil {
		t.Errorf("the first reader's lease ended: %v", context.Cause(holder.Context()))
	}
	clients.Release(t, holder)
	clients.Release(t, clients.Take(t, writer.Lock))
	s.Clean(t, name)
}

// Peer 13: a semaphore's permits end by the clients' clocks.
func TestPeer13ClientAheadTakesNoHeldPermit(t *testing.T) {
	ahead := func(i int) core.Options {
		return core.Options{Now: func() time.Time { return time.Now().Add(time.Duration(i) * 31 * time.Second) }}
	}
	within(t, sim.Config{Seed: 13, Nodes: 1, Clients: 2}, ahead, func(t *testing.T, w *world) {
		held := w.take(w.semaphore(0, "s", 1).Acquire)
		for range 10 {
			_, err := w.semaphore(1, "s", 1).TryAcquire(t.Context())
			refused(t, "a held permit, by a client 31 s ahead", err)
			time.Sleep(7 * time.Second)
		}
		if err := held.Release(t.Context()); err != nil {
			t.Error(err)
		}
		l := w.take(w.semaphore(1, "s", 1).TryAcquire)
		time.Sleep(time.Minute)
		_, err := w.semaphore(0, "s", 1).TryAcquire(t.Context())
		refused(t, "the permit of the client that is ahead", err)
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Peer 14: with permits counted by majorities, three holders can each win two of three
// nodes for two permits.
func TestPeer14TwoPermitsOnThreeNodes(t *testing.T) {
	s := clients.Three(t)
	name := clients.Name(t)
	var held []*core.Lease
	for range 8 {
		l, err := s.Connect(t, nil).Semaphore(name, 2).TryAcquire(t.Context())
		if err == nil {
			held = append(held, l)
			continue
		}
		refused(t, "a third permit", err)
	}
	if len(held) != 2 {
		t.Errorf("got %d permits, want 2", len(held))
	}
	for _, l := range held {
		clients.Release(t, l)
	}
	// The first node decides: without it there are no permits, and that is an error.
	through, proxies := s.Proxied(t)
	c := through.Connect(t, nil)
	proxies[0].Refuse()
	_, err := c.Semaphore(name, 2).Acquire(t.Context())
	var node *core.NodeError
	if !errors.As(err, &node) || node.Node != 0 || errors.Is(err, core.ErrNotAcquired) {
		t.Errorf("without the first node: got %v, want its failure", err)
	}
	s.Clean(t, name)
}

// Peer 23: what a server says of itself surfaces as "not acquired".
func TestPeer23ServersErrors(t *testing.T) {
	server := redistest.Start(t, 1, &redistest.Config{Args: []string{"--enable-debug-command", "local"}})
	redistest.NeedReal(t, server)
	s := clients.At(redistest.Addrs(server)...)
	c := s.Connect(t, &core.Options{Expiry: 20 * time.Second, MinValidity: 10 * time.Second})
	admin := s.Plain(t)[0]
	do := func(args ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	attempts := map[string]func(context.Context) (*core.Lease, error){
		"Lock": c.Mutex("m").Lock, "TryLock": c.Mutex("m").TryLock,
		"RWMutex.Lock": c.RWMutex("rw").Lock, "RLock": c.RWMutex("rw").RLock, "TryRLock": c.RWMutex("rw").TryRLock,
		"Acquire": c.Semaphore("s", 2).Acquire, "TryAcquire": c.Semaphore("s", 2).TryAcquire,
	}
	fails := func(code string) {
		t.Helper()
		for what, try := range attempts {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			l, err := try(ctx)
			cancel()
			if err == nil {
				clients.Release(t, l)
			}
			var node *core.NodeError
			if !errors.As(err, &node) || !redis.HasErrorPrefix(node.Err, code) || errors.Is(err, core.ErrNotAcquired) {
				t.Errorf("%s: got %v, want the node's %s", what, err, code)
			}
		}
		// A replica may count permits.
		if _, err := c.Semaphore("s", 2).Available(t.Context()); err == nil && code != "READONLY" {
			t.Errorf("Available: got no error, want the node's %s", code)
		}
	}
	works := func() {
		t.Helper()
		for what, try := range attempts {
			l, err := try(t.Context())
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			do("SCRIPT", "FLUSH") // NOSCRIPT from whatever comes next
			clients.Release(t, l)
		}
	}
	works()
	do("REPLICAOF", "127.0.0.1", "1") // where nothing is
	fails("READONLY")
	do("CONFIG", "SET", "replica-serve-stale-data", "no")
	fails("MASTERDOWN")
	do("REPLICAOF", "NO", "ONE")
	works()

	// A server that loads for a while, and answers now and then.
	do("CONFIG", "SET", "rdbcompression", "no")
	for i := range 1000 {
		do("SET", fmt.Sprint("ballast", i), string(make([]byte, 1024)))
	}
	do("CONFIG", "SET", "key-load-delay", "20000") // us for each key
	do("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
	reloaded := make(chan error, 1)
	go func() { reloaded <- s.Plain(t)[0].Do(context.WithoutCancel(t.Context()), "DEBUG", "RELOAD").Err() }()
	for !redis.HasErrorPrefix(admin.Get(t.Context(), "x").Err(), "LOADING") {
		time.Sleep(time.Millisecond)
	}
	fails("LOADING")
	do("CONFIG", "SET", "key-load-delay", "0")
	for redis.HasErrorPrefix(admin.Get(t.Context(), "x").Err(), "LOADING") {
		time.Sleep(time.Millisecond)
	}
	<-reloaded
	works()
}
