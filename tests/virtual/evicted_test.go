package virtual_test

import (
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// evict takes one key of a lock from the node, which must have it.
func (w *world) evict(key string) {
	w.Helper()
	if n := w.do(w.Nodes[0], "DEL", key); n != 1 {
		w.Fatalf("there is no %s to be evicted, only %q", key, w.keys(w.Nodes[0]))
	}
}

// named is the word in the keys of a kind.
func (k kind) named() string {
	switch k.name {
	case "mutex":
		return "mutex"
	case "permit":
		return "semaphore"
	}
	return "rw"
}

// A lost hold is told at the next extension; where other nodes have it, it is put back.
func TestEvictedHold(t *testing.T) {
	everyKind(t, func(w *world, k kind) {
		lease := w.take(k.lock(w.client(core.Options{})).Lock)
		w.evict(k.hold)
		time.Sleep(cadence + near)
		if len(w.Nodes) == 1 {
			w.lost(lease, "its only hold is gone")
		} else {
			w.held(lease, "the others have it")
			if w.do(w.Nodes[0], "EXISTS", k.hold) != 1 {
				w.Error("it was not put back")
			}
			w.free(lease)
		}
		w.free(w.take(k.lock(w.client(core.Options{})).Lock))
	})
}

// With the meta key goes the counter. The next token is higher all the same, and an
// extension puts the counter back.
func TestEvictedMeta(t *testing.T) {
	everyKind(t, func(w *world, k kind) {
		if k.name == "reader" {
			return // it has none
		}
		meta, c := "{m}:"+k.named()+":meta", w.client(core.Options{})
		first := w.take(k.lock(c).Lock)
		w.evict(meta)
		w.free(first)
		second := w.take(k.lock(c).Lock)
		if second.Token() <= first.Token() {
			w.Errorf("got the token %d after %d", second.Token(), first.Token())
		}
		w.evict(meta)
		time.Sleep(cadence + near)
		w.held(second, "its hold is there")
		if w.do(w.Nodes[0], "HGET", meta, "token") == nil {
			w.Error("an extension has not put the counter back")
		}
		w.free(second)
	})
}

// With a semaphore's meta key goes its limit, which binds again from the next extension on.
func TestEvictedLimit(t *testing.T) {
	in(t, 1, func(w *world) {
		lease := w.take(w.client(core.Options{}).semaphore(1).Acquire)
		w.evict("{m}:semaphore:meta")
		time.Sleep(cadence + near)
		if got, err := w.client(core.Options{}).semaphore(2).TryAcquire(w.Context()); err == nil {
			w.Errorf("got the permit %v with another limit beside the one that is held", got)
		}
		w.held(lease, "its permit is there")
		w.free(lease)
	})
}

// A lost queue, and lost tickets, cost the order: those in line find out by polling, and
// stand in line again.
func TestEvictedLine(t *testing.T) {
	for _, part := range []string{"queue", "tickets"} {
		t.Run(part, func(t *testing.T) {
			everyKind(t, func(w *world, k kind) {
				key := "{m}:" + k.named() + ":" + part
				lease := w.take(k.lock(w.client(core.Options{})).Lock)
				var line []*waiter
				for range 3 {
					line = append(line, w.wait(k.beside(w.client(core.Options{})).Lock))
				}
				w.evict(key)
				time.Sleep(2 * time.Second) // each has polled: the place is at most the third
				if w.do(w.Nodes[0], "EXISTS", key) != 1 {
					w.Error("those who wait do not stand in line again")
				}
				w.evict(key)
				w.free(lease)
				// Each of them within a poll of its place.
				for range line {
					end := time.Now().Add(2 * time.Second)
					for first := (*core.Lease)(nil); first == nil; time.Sleep(time.Millisecond) {
						for i, wt := range line {
							if first = wt.in(); first != nil {
								w.free(first)
								line = append(line[:i:i], line[i+1:]...)
								break
							}
						}
						if time.Now().After(end) {
							w.Fatalf("%d still wait after a poll", len(line))
						}
					}
				}
			})
		})
	}
}

// A lost slot is put back by the next extension, unless it has been given to another: then
// that permit is lost, since two must not go on with one slot.
func TestEvictedSlots(t *testing.T) {
	in(t, 1, func(w *world) {
		old, next := w.client(core.Options{}), w.client(core.Options{})
		first, second := w.take(old.semaphore(4).Acquire), w.take(old.semaphore(4).Acquire)
		w.evict("{m}:semaphore:slots")
		time.Sleep(cadence + near)
		third := w.take(next.semaphore(4).Acquire)
		if first.Slot() != 0 || second.Slot() != 1 || third.Slot() != 2 {
			w.Errorf("got the slots %d, %d and then %d, want 0, 1 and 2", first.Slot(), second.Slot(), third.Slot())
		}
		w.evict("{m}:semaphore:slots")
		fourth := w.take(next.semaphore(4).Acquire)
		if fourth.Slot() != 0 {
			w.Fatalf("got the slot %d, want 0: the server has lost whose that is", fourth.Slot())
		}
		time.Sleep(cadence + near)
		w.lost(first, "its slot is another's")
		w.held(second, "its slot was free")
		w.held(third, "its slot was free")
		w.held(fourth, "it has the slot")
		w.free(second, third, fourth)
	})
}
