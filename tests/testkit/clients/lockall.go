package clients

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
)

// A Part is one of the locks that are taken together.
type Part struct{ Kind, Name string }

// of returns the lock as p has it: of a semaphore the only permit.
func (p Part) of(t *testing.T, on *redlatch.Provider) core.Locker {
	t.Helper()
	switch p.Kind {
	case Mutex:
		return on.Mutex(p.Name)
	case RW:
		return on.RWMutex(p.Name)
	}
	s, err := on.Semaphore(p.Name, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s.Locker()
}

// OppositeOrders lets programs take the same locks together, named in opposite orders.
func OppositeOrders(t *testing.T, s *Site, connect func() *redlatch.Provider, parts []Part) {
	t.Helper()
	const callers, rounds = 6, 3
	h := checker.NewHistory()
	ask := func(who string) *checker.Attempt {
		return h.Ask(checker.Request{Name: "all", Client: who, Kind: checker.Exclusive})
	}
	locks := func() (ls []core.Locker) {
		p := connect()
		for _, part := range parts {
			ls = append(ls, part.of(t, p))
		}
		return ls
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first := ask("first")
	held, err := core.LockAll(ctx, locks()...)
	if err != nil {
		t.Fatal(err)
	}
	first.Granted(held)

	var wg sync.WaitGroup
	for i := range callers {
		ls := locks()
		if i%2 == 1 {
			slices.Reverse(ls)
		}
		wg.Go(func() {
			for range rounds {
				a := ask(fmt.Sprint(i))
				l, err := core.LockAll(ctx, ls...)
				if err != nil {
					a.GaveUp()
					t.Error(err)
					return
				}
				a.Granted(l)
				time.Sleep(time.Millisecond) // the work, longer than a hand-over: two holders would meet
				a.Released()
				Release(t, l)
			}
		})
	}
	t.Cleanup(wg.Wait) // where the test ends before, with its context
	// All wait for one and the same lock, the first in order.
	var lines []func() int
	for _, part := range parts {
		lines = append(lines, s.Line(t, part.Kind, part.Name))
	}
	Stand(t, callers, lines...)
	first.Released()
	Release(t, held)
	wg.Wait()
	if err := h.Check(nil); err != nil {
		t.Error(err)
	}
}
