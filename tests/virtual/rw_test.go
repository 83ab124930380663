package virtual_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/sim"
)

func TestReadersAndWritersExclude(t *testing.T) {
	each(t, func(w *world) {
		a, b := w.client(core.Options{}).rw(), w.client(core.Options{}).rw()
		first, second := w.take(a.RLock), w.take(b.RLock)
		w.refused(b.TryLock, "there are readers")
		w.free(first)
		w.refused(a.TryLock, "there is a reader left")
		time.Sleep(2 * expiry)
		w.refused(a.TryLock, "the reader has extended")
		w.held(second, "it has been extended")
		w.free(second)
		writer := w.take(a.TryLock)
		time.Sleep(2 * expiry)
		w.refused(b.TryRLock, "there is a writer")
		w.refused(b.TryLock, "there is a writer")
		w.held(writer, "it has been extended")
		w.free(writer)
		w.free(w.take(b.TryRLock))
	})
}

// Two readers of one client are two: the end of one leaves the other.
func TestReadersAreReleasedOneByOne(t *testing.T) {
	each(t, func(w *world) {
		a, b := w.client(core.Options{}).rw(), w.client(core.Options{}).rw()
		first, second := w.take(a.RLock), w.take(a.RLock)
		w.free(second)
		for range 3 { // a second time changes nothing
			_ = second.Release(w.Context())
		}
		w.refused(b.TryLock, "the first reader is still there")
		time.Sleep(2 * expiry)
		w.held(first, "another's release is not its own")
		w.refused(b.TryLock, "the first reader is still there")
		w.free(first)
		w.free(w.take(b.TryLock))
	})
}

// A dead reader holds up a writer for its own lease, whoever else goes on reading.
func TestDeadReadersEntryEndsByItself(t *testing.T) {
	in(t, 1, func(w *world) {
		dead, live, writer := w.client(core.Options{}), w.client(core.Options{}), w.client(core.Options{})
		w.take(dead.rw().RLock)
		dead.Kill()
		reader := w.take(live.rw().RLock)
		time.Sleep(expiry - 5*time.Second)
		w.free(reader)
		w.refused(writer.rw().TryLock, "the dead reader's lease has not ended")
		reader = w.take(live.rw().RLock) // renews what the readers share
		time.Sleep(10 * time.Second)
		w.free(reader)
		w.free(w.take(writer.rw().TryLock))
	})
}

// A reader is not put back beside a writer.
func TestReaderIsNotRepairedBesideAWriter(t *testing.T) {
	in(t, 3, func(w *world) {
		var repairs atomic.Int32
		reader := w.take(w.client(core.Options{}, func(tp *tap) {
			tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				if verb == "repair" {
					repairs.Add(1)
					w.do(tp.node, "SET", "{m}:rw:writer", "another", "PX", "60000")
				}
				return pass()
			}
		}).rw().RLock)
		w.do(w.Nodes[1], "DEL", "{m}:rw:readers")
		time.Sleep(cadence + near)
		if n := w.do(w.Nodes[1], "EXISTS", "{m}:rw:readers"); n != 0 || repairs.Load() != 1 {
			w.Errorf("after %d repairs the reader stands beside the writer: %v", repairs.Load(), n)
		}
		w.held(reader, "a majority has it")
		w.free(reader)
	})
}

// An entry of the other kind is not one's own.
func TestKindsAreApart(t *testing.T) {
	in(t, 1, func(w *world) {
		lease := w.take(w.client(core.Options{}).rw().Lock)
		owner := w.do(w.Nodes[0], "GET", "{m}:rw:writer").(string)
		w.do(w.Nodes[0], "DEL", "{m}:rw:writer")
		w.do(w.Nodes[0], "ZADD", "{m}:rw:readers", "99999999999999", owner)
		w.do(w.Nodes[0], "PEXPIRE", "{m}:rw:readers", "60000")
		time.Sleep(cadence + near)
		w.lost(lease, "a reader of that id is no writer")
		if n := w.do(w.Nodes[0], "ZCARD", "{m}:rw:readers"); n != 1 {
			w.Errorf("the writer's release removed %v readers", n)
		}
	})
}

func TestWaitingWriterStopsNewReaders(t *testing.T) {
	each(t, func(w *world) {
		a, b, c := w.client(patient).rw(), w.client(patient).rw(), w.client(patient).rw()
		reader := w.take(a.RLock)
		writer := w.wait(b.Lock)
		w.refused(c.TryRLock, "a writer waits")
		late := w.wait(c.RLock)
		w.free(reader)
		lease := writer.within(near, "the readers have gone")
		if late.in() != nil {
			w.Error("a later reader overtook the writer")
		}
		w.free(lease)
		w.free(late.within(near, "the writer has gone"))
	})
}

// A writer is not put back beside a reader.
func TestWriterIsNotRepairedBesideAReader(t *testing.T) {
	in(t, 3, func(w *world) {
		var repairs atomic.Int32
		writer := w.take(w.client(core.Options{}, func(tp *tap) {
			tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				if verb == "repair" {
					repairs.Add(1)
					w.do(tp.node, "ZADD", "{m}:rw:readers", "99999999999999", "another")
					w.do(tp.node, "PEXPIRE", "{m}:rw:readers", "60000")
				}
				return pass()
			}
		}).rw().Lock)
		w.do(w.Nodes[1], "DEL", "{m}:rw:writer")
		time.Sleep(cadence + near)
		if n := w.do(w.Nodes[1], "EXISTS", "{m}:rw:writer"); n != 0 || repairs.Load() != 1 {
			w.Errorf("after %d repairs the writer stands beside the reader: %v", repairs.Load(), n)
		}
		w.held(writer, "a majority has it")
		w.free(writer)
	})
}

// A reader whose end has passed is still stored while a longer one is there. A writer no
// longer counts it, so it must not be extended back.
func TestEndedReaderIsNotExtendedBack(t *testing.T) {
	in(t, 1, func(w *world) {
		var extensions atomic.Int32
		c := w.client(core.Options{}, func(tp *tap) {
			tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				if verb == "extend" {
					extensions.Add(1)
				}
				return pass()
			}
		})
		reader := w.take(c.rw().RLock)
		owner := w.do(w.Nodes[0], "ZRANGE", "{m}:rw:readers", "0", "0").([]any)[0].(string)
		long := w.client(core.Options{Expiry: 10 * time.Minute})
		w.take(long.rw().RLock) // keeps the key
		long.Kill()
		w.do(w.Nodes[0], "ZADD", "{m}:rw:readers", "1", owner) // long ago
		time.Sleep(cadence + near)
		w.lost(reader, "its entry had ended")
		if extensions.Load() == 0 {
			w.Error("no extension was sent")
		}
		w.refused(c.rw().TryLock, "the long reader's lease has not ended")
		time.Sleep(10 * time.Minute)
		w.free(w.take(c.rw().TryLock))
	})
}

// A node that restarts with its data has each entry with the end that it had.
func TestRestartWithDataKeepsReadersAndWriters(t *testing.T) {
	each(t, func(w *world) {
		restart := func() {
			for _, n := range w.Nodes {
				if err := n.Crash(sim.KeepAll); err != nil {
					w.Fatal(err)
				}
				n.Restart(0)
			}
		}
		live := w.client(core.Options{}).rw()
		for _, side := range []struct {
			name  string
			lock  func(*client) taking
			other []taking
		}{
			{"reader", func(c *client) taking { return c.rw().RLock }, []taking{live.TryLock}},
			{"writer", func(c *client) taking { return c.rw().Lock }, []taking{live.TryLock, live.TryRLock}},
		} {
			dead := w.client(core.Options{})
			w.take(side.lock(dead))
			dead.Kill()
			began := time.Now()
			restart()
			for _, other := range side.other {
				w.refused(other, "the nodes have kept the "+side.name)
			}
			time.Sleep(expiry - time.Since(began) - time.Second)
			restart() // does not prolong it
			for _, other := range side.other {
				w.refused(other, "the "+side.name+"'s lease has not ended")
			}
			time.Sleep(time.Second)
			w.free(w.take(side.other[0]))
		}
	})
}
