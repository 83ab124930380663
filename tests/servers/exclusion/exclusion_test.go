package exclusion_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
)

// testExclusion has 100 holders-to-be, from 20 processes, wait for one lock.
func testExclusion(t *testing.T, s *subject) {
	const processes, each = 20, 5
	name := s.named("exclusion")
	s.prepare(t, name)
	h := checker.NewHistory()
	ask := func(who string) *checker.Attempt {
		return h.Ask(checker.Request{Name: name, Client: who, Kind: checker.Exclusive})
	}
	first := ask("first")
	lease := lock(t, s.elsewhere(t, name, patient))
	first.Granted(lease)

	var asked, all sync.WaitGroup
	var in atomic.Int32
	asked.Add(processes * each)
	for i := range processes {
		l := s.elsewhere(t, name, patient)
		for j := range each {
			all.Go(func() {
				a := ask(fmt.Sprintf("process %d, worker %d", i, j))
				asked.Done()
				lease, err := l.Lock(t.Context())
				if err != nil {
					a.GaveUp()
					t.Errorf("Lock: %v", err)
					return
				}
				a.Granted(lease)
				if n := in.Add(1); n != 1 {
					t.Errorf("%d holders at once", n)
				}
				time.Sleep(time.Millisecond) // the work, longer than a hand-over: two holders would meet
				in.Add(-1)
				a.Released()
				release(t, lease)
			})
		}
	}
	t.Cleanup(all.Wait) // where the test ends before, with its context
	asked.Wait()
	// The rest of a process waits behind the one that stands in line.
	eventually(t, 20*time.Second, "half of the processes stand in line", func() bool {
		return s.inLine(t, name) >= processes/2
	})
	first.Released()
	release(t, lease)
	all.Wait()

	// The slots of a semaphore's permits are judged where several hold at once.
	if err := h.Check(nil); err != nil {
		t.Error(err)
	}
	claims := h.Claims()
	if len(claims) != processes*each+1 {
		t.Errorf("got %d claims, want %d", len(claims), processes*each+1)
	}
	for _, c := range claims[1:] {
		if !c.Asked.Before(claims[0].Released) || c.Granted.Before(claims[0].Released) {
			t.Errorf("%v did not wait for the first", c)
		}
		if c.Token <= claims[0].Token {
			t.Errorf("got token %d of %v, want more than the first's, %d", c.Token, c, claims[0].Token)
		}
	}
}

// inLine returns how many stand in line for the lock, on the node where most do.
func (s *subject) inLine(t *testing.T, name string) (most int64) {
	t.Helper()
	for _, c := range s.raw {
		n, err := c.ZCard(t.Context(), s.queueKey(name)).Result()
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
	}
	return most
}
