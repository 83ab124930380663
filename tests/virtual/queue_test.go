package virtual_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// Waiters that do not poll come in the order of arrival, each woken by a release.
func TestOrderOfArrival(t *testing.T) {
	each(t, func(w *world) {
		first := w.take(w.client(patient).mutex().Lock)
		var line []*waiter
		for range 6 {
			line = append(line, w.wait(w.client(patient).mutex().Lock))
		}
		w.free(first)
		for i, wt := range line {
			lease := wt.within(near, "its ticket was called")
			for _, later := range line[i+1:] {
				if later.in() != nil {
					w.Errorf("somebody overtook waiter %d", i)
				}
			}
			for _, count := range [][]string{{"ZCARD", "{m}:mutex:queue"}, {"HLEN", "{m}:mutex:tickets"}} {
				if got, want := w.do(w.Nodes[0], count...), len(line)-i-1; got != want {
					w.Errorf("waiter %d is in: %v gives %v, want %d, those behind it", i, count, got, want)
				}
			}
			w.free(lease)
		}
	})
}

// Nobody takes what is free from the one who is called.
func TestNobodyOvertakesTheCalled(t *testing.T) {
	each(t, func(w *world) {
		first := w.take(w.client(patient).mutex().Lock)
		called := w.client(patient)
		wt := w.wait(called.mutex().Lock)
		called.Pause(false)
		w.free(first)
		w.refused(w.client(patient).mutex().TryLock, "a ticket is called")
		late := w.wait(w.client(patient).mutex().Lock)
		called.Resume()
		lease := wt.within(50*time.Millisecond, "it was called and came in time")
		if late.in() != nil {
			w.Error("the one who came later holds it too")
		}
		w.free(lease)
		w.free(late.within(near, "it is next"))
	})
}

// Nobody overtakes the called on the other nodes when the lead alone knows that it has
// come: there the last reader's end would let more readers in.
func TestNobodyOvertakesWhoHasTheLeadsConsent(t *testing.T) {
	in(t, 3, func(w *world) {
		first := w.take(w.client(patient).rw().RLock)
		var consents atomic.Int32
		slow := w.client(patient, func(tp *tap) {
			tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				if verb == "acquire" && tp.node.Index > 0 && first.Context().Err() != nil {
					consents.Add(1)
					time.Sleep(5 * near)
				}
				return pass()
			}
		})
		writer := w.wait(slow.rw().Lock)
		w.free(first)
		if n := w.do(w.Nodes[0], "EXISTS", "{m}:rw:writer"); n != 1 || consents.Load() != 2 {
			t.Fatalf("the writer has the lead: %v; other nodes it asks for their consent: %d", n, consents.Load())
		}
		late := w.client(patient).rw()
		w.refused(late.TryRLock, "the writer is on its way")
		reader := w.wait(late.RLock)
		lease := writer.within(5*near, "the lead has granted")
		if reader.in() != nil {
			t.Error("a reader overtook the writer")
		}
		w.free(lease)
		w.free(reader.within(near, "the writer has released"))
	})
}

// What is free and waited for by nobody is had at once, also while the nodes beside the
// lead still keep it for the last one that came from the line.
func TestFreeAfterALineHasGone(t *testing.T) {
	for kind, lock := range map[string]func(*client) core.Locker{
		"mutex": func(c *client) core.Locker { return c.mutex() },
		"rw":    func(c *client) core.Locker { return c.rw() },
	} {
		t.Run(kind, func(t *testing.T) {
			in(t, 3, func(w *world) {
				next := func() core.Locker { return lock(w.client(patient)) }
				first := w.take(next().Lock)
				waited := w.wait(next().Lock)
				w.free(first)
				w.free(waited.within(near, "its ticket was called"))
				busy := func() (at [3]any) {
					for i, n := range w.Nodes {
						at[i] = w.do(n, "HGET", "{m}:"+kind+":meta", "busy")
					}
					return at
				}
				marks := busy()
				for i := range marks {
					if marks[i] == nil {
						t.Fatalf("the marks are %v, want one on each node", marks)
					}
				}
				w.free(w.take(next().TryLock))
				w.free(w.take(next().Lock))
				if got := busy(); got != marks {
					t.Errorf("the marks are %v, want those of before, %v: nobody stood in line", got, marks)
				}
			})
		})
	}
}

// A waiter that died is called in vain, once; then the next one comes.
func TestDeadHeadIsDropped(t *testing.T) {
	each(t, func(w *world) {
		opts := core.Options{}
		first := w.take(w.client(opts).mutex().Lock)
		var dead []*client
		for range 3 {
			c := w.client(opts)
			w.wait(c.mutex().Lock)
			dead = append(dead, c)
		}
		last := w.wait(w.client(opts).mutex().Lock)
		for _, c := range dead {
			c.Kill()
		}
		w.free(first)
		// For each an allowance of at most 1.8 s, and a poll.
		w.free(last.within(8*time.Second, "those before it are dead"))
	})
}

// Those who died in line long ago are not even called.
func TestDeadInLineAreForgotten(t *testing.T) {
	each(t, func(w *world) {
		opts := core.Options{}
		first := w.take(w.client(opts).mutex().Lock)
		dead := w.client(opts)
		w.wait(dead.mutex().Lock)
		last := w.wait(w.client(opts).mutex().Lock)
		dead.Kill()
		time.Sleep(10 * time.Second)
		w.free(first)
		w.free(last.within(near, "the dead one's ticket has ended"))
	})
}

// A holder that died: the first in line comes when the hold has ended.
func TestDeadHoldersLockGoesToTheFirst(t *testing.T) {
	each(t, func(w *world) {
		dead := w.client(patient)
		w.take(dead.mutex().Lock)
		dead.Kill()
		began := time.Now()
		wt := w.wait(w.client(patient).mutex().Lock)
		lease := wt.within(expiry+near, "the holder died")
		if waited := time.Since(began); waited < expiry-time.Second {
			w.Errorf("held after %v, before the holder's lease ended", waited)
		}
		w.free(lease)
	})
}

// A waiter that leaves calls the next one.
func TestLeavingCallsTheNext(t *testing.T) {
	each(t, func(w *world) {
		reader := w.take(w.client(patient).rw().RLock)
		writer := w.wait(w.client(patient).rw().Lock)
		late := w.wait(w.client(patient).rw().RLock)
		if late.in() != nil {
			w.Error("a reader overtook the writer")
		}
		writer.leave()
		w.free(reader, late.within(near, "the writer has left"))
	})
}

// What fits goes in together.
func TestReadersAndPermitsGoTogether(t *testing.T) {
	in(t, 1, func(w *world) {
		writer := w.take(w.client(patient).rw().Lock)
		permits := []*core.Lease{w.take(w.client(patient).semaphore(2).Acquire), w.take(w.client(patient).semaphore(2).Acquire)}
		var readers, takers []*waiter
		for range 3 {
			c := w.client(patient)
			readers = append(readers, w.wait(c.rw().RLock))
			takers = append(takers, w.wait(c.semaphore(2).Acquire))
		}
		w.free(writer)
		w.free(permits...)
		for _, r := range readers {
			w.held(r.within(near, "all readers go together"), "")
		}
		for _, p := range takers[:2] {
			w.held(p.within(near, "two permits are free"), "")
		}
		if takers[2].in() != nil {
			w.Error("three hold two permits")
		}
		w.free(takers[0].in())
		w.free(takers[2].within(near, "a permit is free"), takers[1].in())
		for _, r := range readers {
			w.free(r.in())
		}
	})
}

// Whoever comes when a waiter is called may have what is free beside it.
func TestRoomBesideTheCalled(t *testing.T) {
	in(t, 1, func(w *world) {
		var held []*core.Lease
		for range 3 {
			held = append(held, w.take(w.client(patient).semaphore(3).Acquire))
		}
		called := w.client(patient)
		wt := w.wait(called.semaphore(3).Acquire)
		called.Pause(false)
		w.free(held[0], held[1])
		lease := w.take(w.client(patient).semaphore(3).TryAcquire)
		w.refused(w.client(patient).semaphore(3).TryAcquire, "the last permit is the called one's")
		called.Resume()
		w.free(wt.within(50*time.Millisecond, "it was called"), lease, held[2])
	})
}

// Only what fits is called: a writer behind a reader sleeps on.
func TestWriterIsNotCalledBesideReaders(t *testing.T) {
	in(t, 1, func(w *world) {
		holder := w.take(w.client(patient).rw().Lock)
		reader := w.wait(w.client(patient).rw().RLock)
		behind := w.client(patient)
		writer := w.wait(behind.rw().Lock)
		behind.Pause(false) // so that a call would stand in its ticket
		w.free(holder)
		lease := reader.within(near, "it is first in line")
		tickets := w.do(w.Nodes[0], "HVALS", "{m}:rw:tickets").([]any)
		if len(tickets) != 1 || strings.Fields(tickets[0].(string))[1] != "0" {
			t.Errorf("the tickets are %q, want the writer's, called at 0", tickets)
		}
		behind.Resume()
		w.free(lease)
		w.free(writer.within(5*near, "the last reader has released"))
	})
}

// A called waiter that finds somebody who does not queue keeps its place.
func TestForeignLockerDoesNotCostThePlace(t *testing.T) {
	in(t, 1, func(w *world) {
		opts := core.Options{}
		first := w.take(w.client(opts).mutex().Lock)
		called := w.client(opts)
		wt, next := w.wait(called.mutex().Lock), w.wait(w.client(opts).mutex().Lock)
		called.Pause(false)
		w.free(first)
		w.do(w.Nodes[0], "SET", "m", "foreign", "PX", "4000")
		called.Resume()
		lease := wt.within(5*time.Second, "the foreign hold has ended")
		if next.in() != nil {
			w.Error("the next one overtook it")
		}
		w.free(lease)
		w.free(next.within(time.Second, "it is next"))
	})
}
