package testkit

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
)

// Stream lets many clients take one side of a lock again and again while one client
// takes the other side, rounds times, and judges the history: whoever asks more than
// slack later than somebody else may be granted before at most overtakes times. slack is
// the time that a call may need to get into the line.
func Stream(t *testing.T, lockOf func(i int) *redlock.RWMutex, many, one string, rounds int, slack time.Duration, overtakes int) {
	t.Helper()
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
		if err := l.Release(t.Context()); err != nil {
			t.Errorf("Release: %v", err)
		}
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
