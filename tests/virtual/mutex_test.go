package virtual_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/sim"
)

func TestMutexExcludes(t *testing.T) {
	each(t, func(w *world) {
		a, b := w.client(core.Options{}).mutex(), w.client(core.Options{}).mutex()
		lease := w.take(a.Lock)
		for range 10 {
			w.refused(b.TryLock, "another client has it")
			w.refused(a.TryLock, "the same client has it")
			time.Sleep(expiry)
		}
		w.held(lease, "it has been extended")
		w.free(lease)
		w.free(w.take(b.TryLock))
	})
}

func TestHoldsTTLIsTheExpiry(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		w.take(c.mutex().Lock)
		c.Kill()
		b := w.client(core.Options{}).mutex()
		time.Sleep(expiry - 100*time.Millisecond)
		w.refused(b.TryLock, "the dead holder's lease has not ended")
		time.Sleep(100 * time.Millisecond)
		w.free(w.take(b.TryLock))
	})
}

// seize puts another's hold in the place of the lock's.
func (w *world) seize(node int) {
	w.do(w.Nodes[node], "SET", "m", "foreign", "PX", "60000")
}

func TestForeignHoldIsNotTouched(t *testing.T) {
	in(t, 1, func(w *world) {
		lease := w.take(w.client(core.Options{}).mutex().Lock)
		w.seize(0)
		time.Sleep(cadence + near)
		w.lost(lease, "another has the lock")
		if owner := w.do(w.Nodes[0], "GET", "m"); owner != "foreign" {
			w.Errorf("the hold is %v's, want the foreign one's", owner)
		}
		if ms := w.do(w.Nodes[0], "PTTL", "m").(int); ms > 60000-int(cadence.Milliseconds()) {
			w.Errorf("the foreign hold was prolonged to %d ms", ms)
		}
	})
}

func TestReleaseSparesAForeignHold(t *testing.T) {
	each(t, func(w *world) {
		lease := w.take(w.client(core.Options{}).mutex().Lock)
		for i := range w.Nodes {
			w.seize(i)
		}
		_ = lease.Release(w.Context())
		time.Sleep(near)
		for _, n := range w.Nodes {
			if owner := w.do(n, "GET", "m"); owner != "foreign" {
				w.Errorf("the hold is %v's, want the foreign one's", owner)
			}
		}
	})
}

func TestExtendNeverCreates(t *testing.T) {
	in(t, 1, func(w *world) {
		lease := w.take(w.client(core.Options{}).mutex().Lock)
		w.do(w.Nodes[0], "DEL", "m")
		time.Sleep(cadence + near)
		w.lost(lease, "its hold was gone for a while")
	})
}

func TestRepairPutsBackWhatIsFree(t *testing.T) {
	in(t, 3, func(w *world) {
		lease := w.take(w.client(core.Options{}).mutex().Lock)
		w.do(w.Nodes[1], "DEL", "m")
		time.Sleep(2*cadence + near)
		if n := w.do(w.Nodes[1], "EXISTS", "m"); n != 1 {
			w.Error("the hold was not put back")
		}
		w.held(lease, "a majority has it")
		w.free(lease)
	})
}

func TestRepairSparesAForeignHold(t *testing.T) {
	in(t, 3, func(w *world) {
		var repairs atomic.Int32
		lease := w.take(w.client(core.Options{}, func(tp *tap) {
			tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				if verb == "repair" { // somebody comes in between
					repairs.Add(1)
					w.seize(tp.node.Index)
				}
				return pass()
			}
		}).mutex().Lock)
		w.do(w.Nodes[1], "DEL", "m")
		time.Sleep(cadence + near)
		if owner := w.do(w.Nodes[1], "GET", "m"); owner != "foreign" || repairs.Load() != 1 {
			w.Errorf("the hold is %v's after %d repairs, want the foreign one's after 1", owner, repairs.Load())
		}
		w.held(lease, "a majority has it")
		w.free(lease)
	})
}

// A client that sends a script again after it has run.
func TestSecondDelivery(t *testing.T) {
	for _, verb := range []string{"acquire", "extend", "repair", "release"} {
		t.Run(verb, func(t *testing.T) {
			in(t, 3, func(w *world) {
				var again atomic.Int32
				a := w.client(core.Options{}, func(tp *tap) {
					tp.call = func(v string, pass func() ([]int64, error)) ([]int64, error) {
						if v == verb {
							again.Add(1)
							_, _ = pass()
							time.Sleep(50 * time.Millisecond)
						}
						return pass()
					}
				}).mutex()
				var last int64
				for range 3 {
					lease := w.take(a.Lock)
					if lease.Token() <= last {
						w.Errorf("got the token %d after %d", lease.Token(), last)
					}
					last = lease.Token()
					w.do(w.Nodes[2], "DEL", "m")
					time.Sleep(2 * expiry)
					w.held(lease, "every script was answered")
					w.free(lease)
				}
				if again.Load() == 0 {
					w.Errorf("no %s was delivered twice", verb)
				}
				w.free(w.take(w.client(core.Options{}).mutex().TryLock))
			})
		})
	}
}

func TestRestartedNodeGrantsNothingUnderTheGuard(t *testing.T) {
	in(t, 1, func(w *world) {
		opts := core.Options{RestartGuard: time.Minute}
		time.Sleep(time.Hour)
		a, b := w.client(opts), w.client(opts)
		w.take(a.mutex().Lock)
		a.Kill()
		if err := w.Nodes[0].Crash(sim.KeepNone); err != nil {
			w.Fatal(err)
		}
		w.Nodes[0].Restart(0)
		for range 5 {
			time.Sleep(11 * time.Second)
			if _, err := b.mutex().TryLock(w.Context()); err == nil {
				w.Fatal("granted by a node that lost its data less than the guard ago")
			}
		}
		time.Sleep(10 * time.Second)
		w.free(w.take(b.mutex().TryLock))
	})
}
