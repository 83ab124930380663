package virtual_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A lease that nobody waits for lives while its slot is open, and can be given back; no call
// of it is refused but the first of the release, which knows of more keys than there are.
func TestHoldsInASlotThatIsMoved(t *testing.T) {
	for name, opts := range map[string]core.Options{"plain": {}, "guarded": {RestartGuard: expiry + time.Second}} {
		t.Run(name, func(t *testing.T) {
			everyKind(t, func(w *world, k kind) {
				time.Sleep(time.Minute) // the guard
				var slot strictness
				var refused atomic.Int32
				c := w.client(opts, slot.around(&refused))
				lease := w.take(k.lock(c).Lock)
				slot.moving.Store(true)
				time.Sleep(3 * expiry)
				w.held(lease, "all keys of an extension are there")
				if n := refused.Load(); n != 0 {
					w.Errorf("%d calls were refused, want none", n)
				}
				if err := lease.Release(w.Context()); err != nil {
					w.Errorf("Release: %v", err)
				}
				time.Sleep(near)
				for _, n := range w.Nodes {
					if w.do(n, "EXISTS", k.hold) != 0 {
						w.Errorf("node %d still has the hold", n.Index)
					}
				}
				if got, want := int(refused.Load()), len(w.Nodes); got != want {
					w.Errorf("%d calls were refused, want %d: a release knows of the queue", got, want)
				}
				slot.moving.Store(false)
				lease = w.take(k.lock(c).Lock)
				if k.name == "permit" && lease.Slot() != 0 {
					w.Errorf("got the slot %d, want the one that was given back, 0", lease.Slot())
				}
				w.free(lease)
			})
		})
	}
}

// What may stand on a node after a failed attempt is looked for without the other keys, which
// may be there or not: else the undo would be tried until the slot is closed.
func TestUndoInASlotThatIsMoved(t *testing.T) {
	everyKind(t, func(w *world, k kind) {
		var slot strictness
		var refused atomic.Int32
		c := w.client(core.Options{}, slot.around(&refused))
		w.free(w.take(k.lock(c).Lock)) // leaves the meta key, but for a reader
		slot.moving.Store(true)
		var node *core.NodeError
		if _, err := k.lock(c).TryLock(w.Context()); !errors.As(err, &node) {
			w.Errorf("got %v, want a node's error", err)
		}
		time.Sleep(10 * time.Second)
		if got, want := int(refused.Load()), 2*len(w.Nodes); got != want {
			w.Errorf("%d calls were refused, want %d: an acquire and a release for each node", got, want)
		}
	})
}

// Those in line find out by polling that a lease was given back while the slot was open.
func TestReleaseInASlotThatIsMovedCallsNobody(t *testing.T) {
	everyKind(t, func(w *world, k kind) {
		var slot strictness
		var refused atomic.Int32
		lease := w.take(k.lock(w.client(core.Options{}, slot.around(&refused))).Lock)
		wt := w.wait(k.beside(w.client(core.Options{})).Lock)
		slot.moving.Store(true)
		for _, n := range w.Nodes {
			w.do(n, "DEL", "{m}:mutex:tickets", "{m}:rw:tickets", "{m}:semaphore:tickets") // moved by now
		}
		w.free(lease)
		if refused.Load() == 0 {
			w.Error("no call was refused: the release had all its keys")
		}
		w.free(wt.within(2*time.Second, "it polls"))
	})
}
