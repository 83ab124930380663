package waiting_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

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
