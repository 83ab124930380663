package virtual_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit"
)

// everyKind runs a test for each kind of lock and each number of nodes that it can be on.
func everyKind(t *testing.T, body func(w *world, k kind)) {
	t.Helper()
	for _, k := range fourKinds {
		for _, n := range k.nodes {
			t.Run(fmt.Sprint(k.name, " on ", n), func(t *testing.T) { in(t, n, func(w *world) { body(w, k) }) })
		}
	}
}

// fromFull is a client of nodes whose memory is full from when the switch is on.
func (w *world) fromFull(full *strictness, opts core.Options) (*client, *atomic.Int32) {
	refused := new(atomic.Int32)
	return w.client(opts, full.around(refused)), refused
}

// A lease lives on, with and without those who wait for it, and can be given back.
func TestHoldsNeedNoMemory(t *testing.T) {
	everyKind(t, func(w *world, k kind) {
		var full strictness
		c, refused := w.fromFull(&full, core.Options{})
		lease := w.take(k.lock(c).Lock)
		full.full.Store(true)
		time.Sleep(3 * expiry)
		w.held(lease, "an extension needs no memory")
		if n := refused.Load(); n != 0 {
			w.Errorf("%d calls were refused, want none", n)
		}
		newcomer, _ := w.fromFull(&full, core.Options{})
		w.free(lease)
		before := w.keys(w.Nodes[0])
		var node *core.NodeError
		if got, err := k.lock(newcomer).TryLock(w.Context()); !errors.As(err, &node) || !strings.Contains(err.Error(), "OOM") {
			w.Errorf("got %v, %v, want a node's OOM: memory is full", got, err)
		}
		time.Sleep(near)
		ofProbes := func(key string) bool { return strings.HasPrefix(key, "probe:") }
		if after := slices.DeleteFunc(w.keys(w.Nodes[0]), ofProbes); !slices.Equal(before, after) {
			w.Errorf("one that was refused for want of memory left %q, want %q", after, before)
		}
	})
}

// Who stands in line when memory runs out keeps its place, is called, and takes what it is
// called for: that frees its ticket, and the room of the last hold is free.
func TestWaitersNeedNoMemory(t *testing.T) {
	for name, opts := range map[string]core.Options{"polling": {}, "called": patient, "ended": {}} {
		t.Run(name, func(t *testing.T) {
			everyKind(t, func(w *world, k kind) {
				var full strictness
				c, _ := w.fromFull(&full, opts)
				lease := w.take(k.lock(c).Lock)
				first, refused := w.fromFull(&full, opts)
				wt := w.wait(k.beside(first).Lock)
				full.full.Store(true)
				time.Sleep(10 * time.Second)
				if n := refused.Load(); n != 0 {
					w.Errorf("%d polls were refused, want none", n)
				}
				if name == "ended" {
					for _, n := range w.Nodes {
						w.do(n, "DEL", k.hold) // nobody is called
					}
					w.free(wt.within(time.Second, "it polls"))
					_ = lease.Release(w.Context())
					return
				}
				w.free(lease)
				w.free(wt.within(near, "it was called"))
			})
		})
	}
}

// One that leaves the line is taken out of it, and one whose hold is gone calls the next.
func TestLeavingNeedsNoMemory(t *testing.T) {
	everyKind(t, func(w *world, k kind) {
		var full strictness
		clients := make([]*client, 3)
		for i := range clients {
			clients[i], _ = w.fromFull(&full, patient)
		}
		lease := w.take(k.lock(clients[0]).Lock)
		leaver := w.wait(k.beside(clients[1]).Lock)
		last := w.wait(k.beside(clients[2]).Lock)
		full.full.Store(true)
		leaver.leave()
		time.Sleep(near)
		queue := "{m}:" + map[string]string{"mutex": "mutex", "permit": "semaphore"}[k.name] + ":queue"
		if k.name == "writer" || k.name == "reader" {
			queue = "{m}:rw:queue"
		}
		if n := w.do(w.Nodes[0], "ZCARD", queue); n != 1 {
			w.Errorf("%v stand in line, want one: the other has left", n)
		}
		for _, n := range w.Nodes {
			w.do(n, "DEL", k.hold) // by an operator
		}
		if err := lease.Release(w.Context()); err != nil {
			w.Errorf("Release: %v", err)
		}
		w.free(last.within(near, "the release called it"))
	})
}

// A token that has to be written back is, also where no TTL has to be raised, as in the
// millisecond of the grant.
func TestWriteBackNeedsNoMemory(t *testing.T) {
	in(t, 3, func(w *world) {
		var writtenBack atomic.Int32
		ahead := time.Now().Add(time.Hour).UnixMicro()
		w.do(w.Nodes[0], "HSET", "{m}:mutex:meta", "token", fmt.Sprint(ahead))
		w.do(w.Nodes[0], "PEXPIRE", "{m}:mutex:meta", "600000")
		c := w.client(core.Options{}, func(tp *tap) {
			tp.edit = func(source string) string { // memory is full from the grant on
				return fmt.Sprintf(strict, testkit.Verb(source) == "extend", false) + source
			}
			tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				if verb == "extend" {
					w.do(tp.node, "PEXPIRE", "m", "60000")
				}
				reply, err := pass()
				if verb == "extend" && err == nil {
					writtenBack.Add(1)
				}
				return reply, err
			}
		})
		lease, err := c.mutex().TryLock(w.Context())
		if err != nil {
			w.Fatalf("TryLock: %v, after %d write-backs: none may be refused", err, writtenBack.Load())
		}
		if n := writtenBack.Load(); lease.Token() <= ahead || n == 0 {
			w.Errorf("got the token %d after %d write-backs, want one above %d", lease.Token(), n, ahead)
		}
		w.untidy = true // the counter stays for an hour
		w.free(lease)
	})
}
