package virtual_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

func (w *world) available(c *client, limit, want int, why string) {
	w.Helper()
	got, err := c.semaphore(limit).Available(w.Context())
	if err != nil || got != want {
		w.Errorf("got %d, %v available, want %d: %s", got, err, want, why)
	}
}

func TestSemaphoreCounts(t *testing.T) {
	in(t, 1, func(w *world) {
		a, b := w.client(core.Options{}), w.client(core.Options{})
		var leases []*core.Lease
		tokens, slots := map[int64]bool{}, map[int]bool{}
		for i := range 5 {
			c := []*client{a, b}[i%2]
			w.available(c, 5, 5-i, "permits are free")
			l := w.take(c.semaphore(5).TryAcquire)
			if tokens[l.Token()] || slots[l.Slot()] || l.Slot() < 0 || l.Slot() > 4 {
				w.Errorf("got token %d and slot %d again, or out of bounds", l.Token(), l.Slot())
			}
			tokens[l.Token()], slots[l.Slot()] = true, true
			leases = append(leases, l)
		}
		for range 3 {
			w.refused(a.semaphore(5).TryAcquire, "all permits are held")
			w.available(a, 5, 0, "all permits are held")
			time.Sleep(expiry)
		}
		slot := leases[2].Slot()
		w.free(leases[2])
		again := w.take(b.semaphore(5).TryAcquire)
		if again.Slot() != slot {
			w.Errorf("got slot %d, want the free one, %d", again.Slot(), slot)
		}
		leases[2] = again
		for _, l := range leases {
			w.held(l, "it has been extended")
		}
		w.free(leases...)
		w.available(a, 5, 5, "all were released")
		for range 3 {
			l := w.take(a.semaphore(5).TryAcquire)
			if l.Slot() != 0 {
				w.Errorf("got slot %d, want the lowest, all are free", l.Slot())
			}
			w.free(l)
		}
	})
}

// All permits that have ended are dropped at once, by whoever looks.
func TestEndedPermitsAreDroppedTogether(t *testing.T) {
	in(t, 1, func(w *world) {
		dead, live := w.client(core.Options{}), w.client(core.Options{})
		for range 200 {
			if _, err := dead.semaphore(201).TryAcquire(w.Context()); err != nil {
				w.Fatal(err)
			}
		}
		dead.Kill()
		time.Sleep(10 * time.Second)
		lease := w.take(live.semaphore(201).TryAcquire) // keeps the key
		w.available(live, 201, 0, "the leases of the dead have not ended")
		time.Sleep(expiry - 10*time.Second)
		w.available(live, 201, 200, "the leases of the dead have ended")
		w.free(lease)
	})
}

func TestEndedPermitIsNotExtendedBack(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		lease := w.take(c.semaphore(1).Acquire)
		w.do(w.Nodes[0], "DEL", "m")
		time.Sleep(cadence + near)
		w.lost(lease, "its permit was gone for a while")
		w.available(c, 1, 1, "nobody holds one")
	})
}

// The permits end by the server's clock, whatever the client's shows.
func TestClientsClockDoesNotReachTheNode(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, time.Hour, -50 * time.Hour, 50 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			in(t, 1, func(w *world) {
				wrong, live := w.client(core.Options{}), w.client(core.Options{})
				wrong.Wall.Step(off)
				first := w.take(wrong.semaphore(1).Acquire)
				reader := w.take(wrong.rw().RLock)
				wrong.Kill()
				time.Sleep(expiry - time.Second)
				w.refused(live.semaphore(1).TryAcquire, "the lease of the dead has not ended")
				w.refused(live.rw().TryLock, "the lease of the dead has not ended")
				time.Sleep(time.Second)
				second := w.take(live.semaphore(1).TryAcquire)
				if second.Token() <= first.Token() {
					w.Errorf("got the token %d after %d", second.Token(), first.Token())
				}
				if ahead := time.Until(time.UnixMicro(second.Token())); ahead > 2*time.Second {
					w.Errorf("the token is %v ahead of the server's clock", ahead)
				}
				w.free(second, w.take(live.rw().TryLock))
				_ = reader
			})
		})
	}
}

// A repeated acquire: between its two runs another permit was granted.
func TestRepeatedAcquireHasATokenOfItsOwn(t *testing.T) {
	in(t, 1, func(w *world) {
		other := w.client(core.Options{})
		var between *core.Lease
		lease := w.take(w.client(core.Options{}, func(tp *tap) {
			tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				if verb == "acquire" {
					_, _ = pass()
					between = w.take(other.semaphore(2).TryAcquire)
				}
				return pass()
			}
		}).semaphore(2).TryAcquire)
		if lease.Token() == between.Token() || lease.Slot() == between.Slot() {
			w.Errorf("two live permits have the tokens %d and %d, the slots %d and %d", lease.Token(), between.Token(), lease.Slot(), between.Slot())
		}
		w.available(other, 2, 0, "two are held")
		w.free(lease, between)
	})
}

func TestLimitBindsWhileSomebodyHoldsOrWaits(t *testing.T) {
	in(t, 1, func(w *world) {
		a, b := w.client(core.Options{}), w.client(core.Options{})
		lease := w.take(a.semaphore(1).Acquire)
		if _, err := b.semaphore(2).TryAcquire(w.Context()); !errors.Is(err, core.ErrInvalid) {
			w.Errorf("got %v for another limit, want %v", err, core.ErrInvalid)
		}
		w.free(lease)
		w.free(w.take(b.semaphore(2).TryAcquire))
	})
}
