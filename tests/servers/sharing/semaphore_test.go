package sharing_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// busy is how many are in at a time. full is closed once there are limit.
type busy struct {
	limit     int64
	now, most atomic.Int64
	full      chan struct{}
	once      sync.Once
}

func (b *busy) enter() {
	n := b.now.Add(1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
	}
	if n == b.limit {
		b.once.Do(func() { close(b.full) })
	}
}

func (b *busy) leave() { b.now.Add(-1) }

// crowd lets workers, each a program of its own, take permits of one semaphore.
func crowd(t *testing.T, s *clients.Site, workers, limit, rounds int, hold time.Duration) {
	name := clients.Name(t)
	in := busy{limit: int64(limit), full: make(chan struct{})}
	filling, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	h := checker.NewHistory()
	var wg sync.WaitGroup
	for w := range workers {
		sem := s.Connect(t, clients.Slow()).Semaphore(name, limit)
		wg.Go(func() {
			for range rounds {
				a := h.Ask(checker.Request{Name: name, Client: fmt.Sprint(w), Kind: checker.Permit, Limit: limit})
				l, err := sem.Acquire(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				a.Granted(l)
				in.enter()
				select { // the first ones stay until all permits are taken
				case <-in.full:
				case <-filling.Done():
				}
				// The hold is work of a length, not a wait for something to happen.
				time.Sleep(hold)
				in.leave()
				a.Released()
				clients.Release(t, l)
			}
		})
	}
	wg.Wait()
	if got := in.most.Load(); got != int64(limit) {
		t.Errorf("got at most %d holders at a time, want exactly %d", got, limit)
	}
	// A call that is lost costs a poll.
	if err := h.Check(&checker.Rules{MaxIdle: 5 * time.Second}); err != nil {
		t.Error(err)
	}
	if got, err := s.Connect(t, nil).Semaphore(name, limit).Available(t.Context()); err != nil || got != limit {
		t.Errorf("got %d available, %v, want %d", got, err, limit)
	}
	s.Clean(t, name)
}

func TestTenWorkersLimitThree(t *testing.T) {
	clients.Single(t, func(t *testing.T, s *clients.Site) { crowd(t, s, 10, 3, 20, 2*time.Millisecond) })
}

func TestHundredWorkersLimitTen(t *testing.T) {
	clients.Single(t, func(t *testing.T, s *clients.Site) { crowd(t, s, 100, 10, 4, 2*time.Millisecond) })
}

func TestSemaphoreOfOneIsAMutex(t *testing.T) {
	clients.Single(t, func(t *testing.T, s *clients.Site) { crowd(t, s, 5, 1, 10, time.Millisecond) })
}

func TestLargestLimit(t *testing.T) {
	clients.Single(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		const permits = 100
		sem := s.Connect(t, nil).Semaphore(name, math.MaxInt32)
		var leases []*core.Lease
		slots := map[int]bool{}
		last := int64(0)
		for i := range permits {
			l := clients.Take(t, sem.TryAcquire)
			leases = append(leases, l)
			if l.Slot() != i {
				t.Errorf("got slot %d, want %d, the lowest free", l.Slot(), i)
			}
			if slots[l.Slot()] {
				t.Errorf("slot %d twice", l.Slot())
			}
			slots[l.Slot()] = true
			if l.Token() <= last {
				t.Errorf("got token %d after %d, want a higher one", l.Token(), last)
			}
			last = l.Token()
		}
		if got, err := sem.Available(t.Context()); err != nil || got != math.MaxInt32-permits {
			t.Errorf("got %d available, %v, want %d", got, err, math.MaxInt32-permits)
		}
		for _, l := range leases {
			clients.Release(t, l)
		}
		if got, err := sem.Available(t.Context()); err != nil || got != math.MaxInt32 {
			t.Errorf("got %d available, %v, want %d", got, err, math.MaxInt32)
		}
		s.Clean(t, name)
	})
}

func TestSlotsLowestFree(t *testing.T) {
	clients.Single(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		const limit = 6
		held := map[int]*core.Lease{}
		take := func(want int) {
			t.Helper()
			l := clients.Take(t, s.Connect(t, nil).Semaphore(name, limit).Acquire)
			if l.Slot() != want {
				t.Errorf("got slot %d, want %d", l.Slot(), want)
			}
			held[l.Slot()] = l
		}
		free := func(slot int) {
			t.Helper()
			clients.Release(t, held[slot])
			delete(held, slot)
		}
		for i := range limit {
			take(i)
		}
		_, err := s.Connect(t, nil).Semaphore(name, limit).TryAcquire(t.Context())
		refused(t, "one more than the limit", err)
		free(4)
		free(1)
		take(1)
		free(0)
		take(0)
		take(4)
		for slot := range held {
			free(slot)
		}
		s.Clean(t, name)
	})
}

func TestCrashedPermitIsFree(t *testing.T) {
	t.Parallel() // it waits for most of the time
	s := clients.One(t)
	name := clients.Name(t)
	opts := brief() // when exactly the permit is free is in TestCrashedPermit
	through, proxies := s.Proxied(t)
	crashing := through.Connect(t, opts).Semaphore(name, 2)
	_ = clients.Take(t, crashing.Acquire)
	other := s.Connect(t, opts).Semaphore(name, 2)
	keeps := clients.Take(t, other.Acquire)
	if got, err := other.Available(t.Context()); err != nil || got != 0 {
		t.Errorf("got %d available, %v, want 0", got, err)
	}
	proxies[0].Refuse()
	if proxies[0].Cut() == 0 {
		t.Fatal("no connection was cut")
	}
	began := time.Now()
	watcher := s.Connect(t, nil).Semaphore(name, 2) // it acquires nothing
	for {
		got, err := watcher.Available(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got == 1 {
			break
		}
		if got != 0 || time.Since(began) > opts.Expiry+10*time.Second {
			t.Fatalf("got %d available after %v, want 1 after %v", got, time.Since(began), opts.Expiry)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("free %v after the crash, the expiry is %v", time.Since(began), opts.Expiry)
	if keeps.Context().Err() != nil {
		t.Errorf("the other permit has ended: %v", context.Cause(keeps.Context()))
	}
	l := clients.Take(t, other.TryAcquire)
	if l.Slot() != 0 {
		t.Errorf("got slot %d, want 0, that of the crashed holder", l.Slot())
	}
	clients.Release(t, l)
	clients.Release(t, keeps)
	s.Clean(t, name)
}

func TestLimitsThatDisagree(t *testing.T) {
	clients.Single(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		three, five := s.Connect(t, nil).Semaphore(name, 3), s.Connect(t, nil).Semaphore(name, 5)
		disagree := func(when string, err error, values ...string) {
			t.Helper()
			if !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s: got %v, want %v", when, err, core.ErrInvalid)
				return
			}
			for _, v := range values {
				if !strings.Contains(err.Error(), v) {
					t.Errorf("%s: got %q, want it to name %s", when, err, v)
				}
			}
		}
		held := clients.Take(t, three.Acquire)
		_, err := five.TryAcquire(t.Context())
		disagree("TryAcquire while held", err, "5", "3")
		_, err = five.Acquire(t.Context())
		disagree("Acquire while held", err, "5", "3")
		_, err = five.Available(t.Context())
		disagree("Available while held", err, "5", "3")
		if got, err := three.Available(t.Context()); err != nil || got != 2 {
			t.Errorf("got %d available, %v, want 2", got, err)
		}
		clients.Release(t, held)

		// Nobody holds or waits: the newcomer's replaces it, and binds.
		held = clients.Take(t, five.Acquire)
		_, err = three.TryAcquire(t.Context())
		disagree("TryAcquire, the other way round", err, "3", "5")
		clients.Release(t, held)

		// Somebody waits, behind holders that are none of ours.
		foreign := s.Plain(t)[0]
		for i := range 3 {
			end := float64(time.Now().Add(time.Minute).UnixMilli())
			if err := foreign.ZAdd(t.Context(), s.Key(name), member(fmt.Sprint("foreign", i), end)).Err(); err != nil {
				t.Fatal(err)
			}
		}
		w := clients.Wait(t, three.Acquire)
		s.Queued(t, clients.Semaphore, name, 1)
		_, err = five.TryAcquire(t.Context())
		disagree("TryAcquire while waited for", err, "5", "3")
		if err := foreign.ZRem(t.Context(), s.Key(name), "foreign1").Err(); err != nil {
			t.Fatal(err)
		}
		clients.Release(t, w.Lease(10*time.Second))
		if got, err := five.Available(t.Context()); err != nil || got != 3 { // 5 less the 2 foreign ones
			t.Errorf("got %d available, %v, want 3", got, err)
		}
		foreign.Del(t.Context(), s.Key(name))
		s.Clean(t, name)
	})
}

func TestPermitsGoToThoseInLine(t *testing.T) {
	clients.Single(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		var held []*core.Lease
		first := s.Connect(t, nil).Semaphore(name, 3)
		for range 3 {
			held = append(held, clients.Take(t, first.Acquire))
		}
		var waiting []*clients.Pending
		for i := range 3 {
			waiting = append(waiting, clients.Wait(t, s.Connect(t, clients.Slow()).Semaphore(name, 3).Acquire))
			s.Queued(t, clients.Semaphore, name, i+1)
		}
		_, err := first.TryAcquire(t.Context())
		refused(t, "one that does not wait", err)
		for _, l := range held { // as many are called as permits were freed
			clients.Release(t, l)
		}
		last := int64(0)
		for i, w := range waiting {
			l := w.Lease(10 * time.Second)
			if l.Token() <= held[2].Token() {
				t.Errorf("waiter %d: got token %d, want more than %d", i, l.Token(), held[2].Token())
			}
			last = max(last, l.Token())
			clients.Release(t, l)
		}
		if l := clients.Take(t, first.Acquire); l.Token() <= last {
			t.Errorf("got token %d after %d, want a higher one", l.Token(), last)
		} else {
			clients.Release(t, l)
		}
		s.Clean(t, name)
	})
}

func member(id string, score float64) redis.Z { return redis.Z{Member: id, Score: score} }
