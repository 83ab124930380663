package rwsem_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/rwsem/clients"
	"github.com/redlatch/redlatch/internal/integration/sim"
	"github.com/redlatch/redlatch/redlock"
)

// stream lets many clients take one side of a lock again and again while one client
// takes the other side, rounds times, and judges the history: whoever asks more than
// slack later than somebody else may be granted before at most overtakes times. slack is
// the time that a call may need to get into the line.
func stream(t *testing.T, lockOf func(i int) *redlock.RWMutex, many, one string, rounds int, slack time.Duration, overtakes int) {
	h := checker.NewHistory()
	lock := func(m *redlock.RWMutex, side string) func(context.Context) (*core.Lease, error) {
		if side == "reader" {
			return m.RLock
		}
		return m.Lock
	}
	name := lockOf(0).Name()
	kinds := map[string]checker.Kind{"reader": checker.Shared, "writer": checker.Exclusive}
	hold := func(ctx context.Context, side, client string, lock func(context.Context) (*core.Lease, error)) bool {
		a := h.Ask(checker.Request{Name: name, Client: client, Kind: kinds[side]})
		l, err := lock(ctx)
		if err != nil {
			a.GaveUp()
			if ctx.Err() == nil {
				t.Error(err)
			}
			return false
		}
		a.Granted(l)
		time.Sleep(3 * time.Millisecond) // the work
		a.Released()
		clients.Release(t, l)
		return true
	}

	streaming, stop := context.WithCancel(t.Context())
	defer stop()
	var wg, first sync.WaitGroup
	for i := 1; i <= 6; i++ {
		take := lock(lockOf(i), many)
		first.Add(1)
		wg.Go(func() {
			hold(streaming, many, fmt.Sprint(many, i), take)
			first.Done()
			for streaming.Err() == nil {
				hold(streaming, many, fmt.Sprint(many, i), take)
			}
		})
	}
	lone := lock(lockOf(0), one)
	first.Wait() // the stream runs
	for range rounds {
		if !hold(t.Context(), one, "the "+one, lone) {
			break
		}
	}
	stop()
	wg.Wait()

	if err := h.Check(nil); err != nil {
		t.Error(err)
	}
	claims := h.Claims()
	for _, c := range claims {
		overtaken := 0
		for _, o := range claims {
			// Readers that go in together overtake nobody.
			together := c.Kind == checker.Shared && o.Kind == checker.Shared
			if !together && !o.Granted.IsZero() && o.Asked.Sub(c.Asked) > slack && o.Granted.Before(c.Granted) {
				overtaken++
			}
		}
		if overtaken > overtakes {
			t.Errorf("overtaken by %d who asked more than %v later, the bound is %d: %v", overtaken, slack, overtakes, c)
		}
	}
	streamed, worst, longest := 0, 0, time.Duration(0)
	for _, c := range claims {
		if c.Kind == kinds[many] && !c.Granted.IsZero() {
			streamed++
		}
		if c.Kind != kinds[one] || c.Granted.IsZero() {
			continue
		}
		handovers := 0
		for _, o := range claims {
			if o.Granted.After(c.Asked) && o.Granted.Before(c.Granted) {
				handovers++
			}
		}
		worst, longest = max(worst, handovers), max(longest, c.Granted.Sub(c.Asked))
	}
	if streamed < 2*rounds {
		t.Errorf("got %d grants in the stream, want a stream", streamed)
	}
	t.Logf("%d grants to %ss; the %s, %d times, waited for at most %d of them, %v", streamed, many, one, rounds, worst, longest)
}

// onServers gives each client connections of its own. On a machine that stands still, and while the
// clients find out which node is dead, a few may overtake.
func onServers(t *testing.T, s *clients.Site, name string) func(int) *redlock.RWMutex {
	return func(int) *redlock.RWMutex { return s.Connect(t, nil).RWMutex(name) }
}

func TestWriterInAStreamOfReaders(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		stream(t, onServers(t, s, name), "reader", "writer", 10, 2*time.Second, 6)
		s.Clean(t, name)
	})
}

func TestReaderInAStreamOfWriters(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		stream(t, onServers(t, s, name), "writer", "reader", 10, 2*time.Second, 6)
		s.Clean(t, name)
	})
}

// The bound: from the moment somebody's ticket stands in line, nobody who comes later is
// granted before. In virtual time nothing but the library makes anybody wait. Six round trips, of 2 ms at
// most each, bring anybody into the line: an attempt and a ticket, each for the first
// time, when the servers must be sent the script.
func TestStreamsInVirtualTime(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		for _, sides := range [][2]string{{"reader", "writer"}, {"writer", "reader"}} {
			within(t, sim.Config{Seed: 17, Nodes: nodes, Clients: 7}, same(core.Options{}), func(t *testing.T, w *world) {
				stream(t, func(i int) *redlock.RWMutex { return w.rw(i, "l") }, sides[0], sides[1], 25, 12*time.Millisecond, 0)
			})
		}
	}
}
