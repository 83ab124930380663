package virtual_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A cost is what clients came to that want one mutex again and again.
type cost struct {
	commands float64 // of all clients, for a hand-over
	called   float64 // messages, for a hand-over
	grants   []int   // of each client
}

// contest lets so many clients, with a provider each, hold a mutex for that long, come
// back 10 ms later, and so on, and counts over so many hand-overs for each client, in
// virtual time.
func contest(t *testing.T, clients int, hold time.Duration, each int) (c cost) {
	t.Helper()
	inCrowd(t, 1, clients, func(w *world) {
		var (
			wg      sync.WaitGroup
			mu      sync.Mutex
			granted []int // by whom, in turn
			sent    []int64
			called  []int64 // messages so far
			stop    = make(chan struct{})
		)
		warm := clients // everybody stands in line, the subscriptions are live
		want := warm + each*clients
		for i := range clients {
			m := w.client(core.Options{}).mutex()
			wg.Go(func() {
				for {
					lease, err := m.Lock(w.Context())
					if err != nil {
						w.Error(err)
						return
					}
					mu.Lock()
					granted, sent, called = append(granted, i), append(sent, w.stats.Calls.Load()), append(called, w.stats.Published.Load())
					if len(granted) == want+1 {
						close(stop)
					}
					mu.Unlock()
					time.Sleep(hold)
					if err := lease.Release(w.Context()); err != nil {
						w.Error(err)
					}
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
			})
		}
		wg.Wait()
		c.commands = float64(sent[want]-sent[warm]) / float64(want-warm)
		c.called = float64(called[want]-called[warm]) / float64(want-warm)
		c.grants = make([]int, clients)
		for _, i := range granted[warm:want] {
			c.grants[i]++
		}
	})
	t.Logf("%d clients, holds of %v: %.2f commands for a hand-over, %.2f messages, %d to %d grants of a client", clients, hold, c.commands, c.called, slices.Min(c.grants), slices.Max(c.grants))
	if c.called < 0.9 {
		t.Errorf("%d clients: got %.2f messages for a hand-over, want contention", clients, c.called)
	}
	return c
}

// A hand-over costs no more the more clients wait, and everybody has its share.
func TestHandOverCosts(t *testing.T) {
	var costs []float64
	for _, clients := range []int{8, 50, 200} {
		c := contest(t, clients, time.Millisecond, 10)
		if c.commands > 6 {
			t.Errorf("%d clients: got %.2f commands for a hand-over, want 6 at most", clients, c.commands)
		}
		costs = append(costs, c.commands)
		if least, most := slices.Min(c.grants), slices.Max(c.grants); clients == 50 && float64(most) > 1.5*float64(least) {
			t.Errorf("%d clients: got %d to %d grants, want the most at most 1.5 times the least", clients, least, most)
		}
	}
	if low, high := slices.Min(costs), slices.Max(costs); high > 1.5*low {
		t.Errorf("got %.2f commands for a hand-over, want them alike within 1.5", costs)
	}
}

// Where holds are long waiters ask by themselves now and then.
func TestHandOverCostsOfLongHolds(t *testing.T) {
	const hold = 100 * time.Millisecond
	for _, clients := range []int{8, 50, 200} {
		t.Run(fmt.Sprint(clients), func(t *testing.T) {
			c := contest(t, clients, hold, 2)
			if most := 6 + 0.4*float64(clients)*hold.Seconds(); c.commands > most {
				t.Errorf("got %.2f commands for a hand-over, want %.1f at most", c.commands, most)
			}
		})
	}
}
