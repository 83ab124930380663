package rwsem_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/rwsem/clients"
)

// Readers and writers of three nodes do not meet while one node after the other restarts
// with its data.
func TestReadersAndWritersWhileNodesRestart(t *testing.T) {
	t.Parallel() // it waits for most of the time
	servers := redistest.Start(t, 3, &redistest.Config{AppendOnly: true})
	redistest.NeedFaults(t, servers)
	s := clients.At(redistest.Addrs(servers)...)
	name := clients.Name(t)
	h := checker.NewHistory()
	granted := make(chan checker.Kind)
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	opts := &core.Options{Expiry: 4 * time.Second, MaxBusyWait: 100 * time.Millisecond}
	for i := range 8 {
		rw := s.Connect(t, opts).RWMutex(name)
		kind, lock := checker.Shared, rw.RLock
		if i%4 == 0 {
			kind, lock = checker.Exclusive, rw.Lock
		}
		wg.Go(func() {
			for stop.Err() == nil {
				a := h.Ask(checker.Request{Name: name, Client: fmt.Sprint(i), Kind: kind})
				l, err := lock(stop)
				if err != nil {
					a.GaveUp() // a node was away when the call began
					continue
				}
				a.Granted(l)
				select {
				case granted <- kind:
				default: // nobody counts
				}
				time.Sleep(3 * time.Millisecond) // the work
				a.Released()
				_ = l.Release(context.WithoutCancel(stop))
			}
		})
	}
	// more waits until there have been n more writers, and readers.
	more := func(n int) {
		t.Helper()
		late := time.After(time.Minute)
		for writers, readers := 0, 0; writers < n || readers < n; {
			select {
			case kind := <-granted:
				if kind == checker.Exclusive {
					writers++
				} else {
					readers++
				}
			case <-late:
				t.Fatalf("%d writers and %d readers within a minute, want %d of each", writers, readers, n)
			}
		}
	}
	more(3)
	for i := range 6 {
		redistest.Do(t, servers[i%3].Restart)
		more(3) // both sides, after each restart
	}
	cancel()
	wg.Wait()
	if err := h.Check(nil); err != nil {
		t.Error(err)
	}
}
