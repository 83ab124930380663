package sharing_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
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
	type grant struct {
		kind  checker.Kind
		asked time.Time
	}
	granted := make(chan grant)
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
				asked := time.Now()
				a := h.Ask(checker.Request{Name: name, Client: fmt.Sprint(i), Kind: kind})
				l, err := lock(stop)
				if err != nil {
					a.GaveUp() // a node was away when the call began
					continue
				}
				a.Granted(l)
				select {
				case granted <- grant{kind, asked}:
				default: // nobody counts
				}
				time.Sleep(3 * time.Millisecond) // the work
				a.Released()
				err = l.Release(context.WithoutCancel(stop))
				var node *core.NodeError
				if err != nil && (!errors.As(err, &node) || errors.Is(err, core.ErrLost)) {
					t.Errorf("release: got %v, want the errors of nodes at most", err)
				}
			}
		})
	}
	// more waits until writers and readers that ask from now on have been granted.
	more := func(when string) {
		t.Helper()
		const n = 3
		from := time.Now()
		late := time.After(time.Minute)
		for writers, readers := 0, 0; writers < n || readers < n; {
			select {
			case g := <-granted:
				switch {
				case g.asked.Before(from):
				case g.kind == checker.Exclusive:
					writers++
				default:
					readers++
				}
			case <-late:
				t.Fatalf("%s: %d writers and %d readers within a minute, want %d of each", when, writers, readers, n)
			}
		}
	}
	more("at first")
	for i := range 6 {
		redistest.Do(t, servers[i%3].Kill)
		more("a node is down")
		redistest.Do(t, servers[i%3].Restart)
		more("it is back with its data")
	}
	cancel()
	wg.Wait()
	if err := h.Check(nil); err != nil {
		t.Error(err)
	}
}
