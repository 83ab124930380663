package waiting_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/rwsem/clients"
	"github.com/redlatch/redlatch/internal/integration/sim"
)

// A lease that is held and not contended costs one command for each node and cadence.
func TestPeer17IdleLeaseCostsOneCommandPerCadence(t *testing.T) {
	for _, nodes := range []int{1, 3, 5} {
		synctest.Test(t, func(t *testing.T) {
			stats := &sim.Stats{}
			c, err := sim.New(sim.Config{Seed: 31, Nodes: nodes, Clients: 1}, stats)
			if err != nil {
				t.Fatal(err)
			}
			p, err := redlatch.New(c.Clients[0].Nodes(), nil)
			if err != nil {
				t.Fatal(err)
			}
			m, err := p.Mutex(name)
			if err != nil {
				t.Fatal(err)
			}
			rw, err := p.RWMutex(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range []core.Locker{m, rw, rw.RLocker()} {
				lease, err := l.Lock(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				const cadences = 60
				time.Sleep(15 * time.Second) // the first sends the script as source
				before := stats.Calls.Load()
				time.Sleep(cadences * 10 * time.Second) // the cadence is Expiry / 3
				if got := stats.Calls.Load() - before; got != int64(cadences*nodes) {
					t.Errorf("%T on %d nodes: got %d commands in %d cadences, want exactly %d", l, nodes, got, cadences, cadences*nodes)
				}
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			c.Close()
		})
	}
}

// Ten thousand leases need no goroutines of their own.
func TestGoroutinesDoNotGrowWithLeases(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	const leases, workers = 10_000, 16
	c := s.Connect(t, &core.Options{Expiry: time.Hour})
	clients.Release(t, clients.Take(t, c.Mutex(name).Lock)) // connected, scripts cached
	before, heap := runtime.NumGoroutine(), alive()
	held := make([]*core.Lease, leases)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < leases; i += workers {
				held[i] = clients.Take(t, c.Mutex(fmt.Sprint(name, i)).Lock)
			}
		})
	}
	wg.Wait()
	grown := runtime.NumGoroutine() - before
	t.Logf("%d leases held: %d goroutines more, %d bytes of live memory each", leases, grown, (int64(alive())-int64(heap))/leases)
	// The client's pool has some of its own, as many as it has connections at most.
	if grown > 100 {
		t.Errorf("got %d goroutines more with %d leases held, want a number that does not grow with them", grown, leases)
	}
	if got := len(s.Keys(t, name)); got < leases {
		t.Errorf("got %d keys, want one at least for each of %d leases", got, leases)
	}
	for w := range workers {
		wg.Go(func() {
			for i := w; i < leases; i += workers {
				clients.Release(t, held[i])
			}
		})
	}
	wg.Wait()
	s.Clean(t, name)
}

// alive is the memory in use after a collection.
func alive() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
