package virtual_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/sim"
)

// kinds are what a guard can be set for, and the key of the hold.
var kinds = []struct {
	name, key string
	try, lock func(*client) taking
}{
	{"mutex", "m", func(c *client) taking { return c.mutex().TryLock }, func(c *client) taking { return c.mutex().Lock }},
	{"writer", "{m}:rw:writer", func(c *client) taking { return c.rw().TryLock }, func(c *client) taking { return c.rw().Lock }},
	{"reader", "{m}:rw:readers", func(c *client) taking { return c.rw().TryRLock }, func(c *client) taking { return c.rw().RLock }},
	{"semaphore", "m", func(c *client) taking { return c.semaphore(3).TryAcquire }, func(c *client) taking { return c.semaphore(3).Acquire }},
}

// guarded returns options with that guard, whose leases are shorter than any guard.
func guarded(guard time.Duration) core.Options {
	return core.Options{Expiry: 5 * time.Second, RestartGuard: guard}
}

// lose restarts nodes without their data.
func (w *world) lose(nodes ...*sim.Node) {
	w.Helper()
	for _, n := range nodes {
		if err := n.Crash(sim.KeepNone); err != nil {
			w.Fatal(err)
		}
		n.Restart(0)
	}
}

// disagrees fails the test unless a client is told of both guards.
func (w *world) disagrees(lock taking, own, inForce, why string) {
	w.Helper()
	lease, err := lock(w.Context())
	if !errors.Is(err, core.ErrInvalid) || errors.Is(err, core.ErrNotAcquired) {
		w.Errorf("got %v, %v, want %v: %s", lease, err, core.ErrInvalid, why)
	} else if want := "Options.RestartGuard is " + own + ", but " + inForce + " is in force"; !strings.Contains(err.Error(), want) {
		w.Errorf("got %q, want it to say %q: %s", err, want, why)
	}
	time.Sleep(near)
}

// fails fails the test unless the nodes say why they grant nothing.
func (w *world) fails(lock taking, text, why string) {
	w.Helper()
	lease, err := lock(w.Context())
	var node *core.NodeError
	if !errors.As(err, &node) || errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), text) {
		w.Errorf("got %v, %v, want an error of a node that says %q: %s", lease, err, text, why)
	}
	time.Sleep(near)
}

func TestGuardsThatDisagree(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			each(t, func(w *world) {
				ten, twenty, none := w.client(guarded(10*time.Second)), w.client(guarded(20*time.Second)), w.client(guarded(0))
				time.Sleep(time.Hour)
				both := func(why string) {
					w.disagrees(kind.try(twenty), "20s", "10s", why)
					w.disagrees(kind.lock(twenty), "20s", "10s", why)
					w.disagrees(kind.try(none), "0s", "10s", why)
					w.disagrees(kind.lock(none), "0s", "10s", why)
				}
				lease := w.take(kind.try(ten))
				both("it is held")
				time.Sleep(time.Hour)
				both("it has been held for long")
				w.free(lease)
				both("it was held just now")
				w.free(w.take(kind.try(ten)))

				time.Sleep(5 * time.Minute)
				w.free(w.take(kind.try(twenty))) // nobody has used it for minutes
				w.disagrees(kind.try(ten), "10s", "20s", "another has set it")
			})
		})
	}
}

// A guard stays in force while the lock is in use, though no single lease lasts.
func TestGuardStaysInForce(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			each(t, func(w *world) {
				ten, none := w.client(guarded(10*time.Second)), w.client(guarded(0))
				time.Sleep(time.Hour)
				for range 10 {
					w.free(w.take(kind.try(ten)))
					time.Sleep(time.Minute)
					w.disagrees(kind.try(none), "0s", "10s", "it was used a minute ago")
				}
			})
		})
	}
}

// A guard comes into force with the first client that has one, whoever holds the lock.
func TestGuardComesLater(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			each(t, func(w *world) {
				ten, none := w.client(guarded(10*time.Second)), w.client(guarded(0))
				time.Sleep(time.Hour)
				first := w.take(kind.try(none))
				if kind.name == "mutex" || kind.name == "writer" {
					w.refused(kind.try(ten), "a client without a guard has it")
				} else {
					w.free(w.take(kind.try(ten)))
				}
				w.disagrees(kind.try(none), "0s", "10s", "another has set it")
				time.Sleep(time.Minute)
				w.held(first, "it is extended under whichever guard")
				w.free(first)
			})
		})
	}
}

// A server's uptime is cut to seconds, so the phase of the second matters.
func TestGuardIsNotShort(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			for _, phase := range []time.Duration{0, 500 * time.Millisecond, 900 * time.Millisecond} {
				each(t, func(w *world) {
					const guard = 10 * time.Second
					dead, live := w.client(guarded(guard)), w.client(guarded(guard))
					time.Sleep(time.Hour + phase)
					first := w.take(kind.lock(dead))
					dead.Kill()
					w.lose(w.Nodes...)
					restarted := time.Now()
					refusals := 0
					for {
						second, err := kind.try(live)(w.Context())
						if err == nil {
							if second.Token() <= first.Token() && kind.name != "reader" {
								w.Errorf("got the token %d after %d", second.Token(), first.Token())
							}
							w.free(second)
							break
						}
						if !strings.Contains(err.Error(), "GUARDED") {
							w.Fatalf("got %v, want what the guard says", err)
						}
						refusals++
						time.Sleep(50 * time.Millisecond)
					}
					if up := time.Since(restarted); up < guard || up > guard+2*time.Second || refusals == 0 {
						w.Errorf("phase %v: granted %v after the restart and %d refusals, want %v and up to 2s more", phase, up, refusals, guard)
					}
				})
			}
		})
	}
}

// A node that does not tell its uptime grants nothing to a client with a guard.
func TestNodeThatHidesItsUptime(t *testing.T) {
	// hide makes the command unknown on the first n nodes, as rename-command does.
	hide := func(n int, asked *atomic.Int32) func(*tap) {
		return func(tp *tap) {
			tp.call = func(_ string, pass func() ([]int64, error)) ([]int64, error) { return pass() }
			tp.edit = func(source string) string {
				if tp.node.Index >= n || !strings.Contains(source, "'INFO'") {
					return source
				}
				asked.Add(1)
				return strings.ReplaceAll(source, "'INFO'", "'RENAMED'")
			}
		}
	}
	const why = "the restart guard needs INFO, which this server hides"
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			each(t, func(w *world) {
				var asked atomic.Int32
				ten := w.client(guarded(10*time.Second), hide(len(w.Nodes), &asked))
				none := w.client(guarded(0), hide(len(w.Nodes), &asked))
				time.Sleep(time.Hour)
				w.free(w.take(kind.try(none))) // without a guard nothing asks for it
				asked.Store(0)
				w.fails(kind.try(ten), why, "the uptime is hidden")
				w.fails(kind.lock(ten), why, "the uptime is hidden")
				if asked.Load() == 0 {
					w.Error("nothing was hidden")
				}
				for _, n := range w.Nodes {
					if w.do(n, "EXISTS", kind.key) != 0 {
						w.Errorf("node %d has granted", n.Index)
					}
				}
			})
		})
	}
	t.Run("one of three", func(t *testing.T) {
		in(t, 3, func(w *world) {
			var asked atomic.Int32
			ten := w.client(guarded(10*time.Second), hide(1, &asked))
			time.Sleep(time.Hour)
			lease := w.take(ten.mutex().TryLock)
			time.Sleep(time.Minute)
			w.held(lease, "two nodes tell their uptime")
			if asked.Load() == 0 {
				w.Error("nothing was hidden")
			}
			w.free(lease)
		})
	})
}

// The guard is kept with the lock and goes with the data: a node that lost them grants to
// a client that has none. docs/guarantees.md tells users to set it for all clients.
func TestGuardGoesWithTheData(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			each(t, func(w *world) {
				ten, other, none := w.client(guarded(10*time.Second)), w.client(guarded(10*time.Second)), w.client(guarded(0))
				time.Sleep(time.Hour)
				lease := w.take(kind.try(ten))
				w.disagrees(kind.try(none), "0s", "10s", "the nodes know the guard")
				w.lose(w.Nodes...)
				second := w.take(kind.try(none))
				w.held(lease, "nothing has told it yet")
				w.fails(kind.try(other), "GUARDED", "the nodes have restarted")
				time.Sleep(5 * time.Second)
				w.lost(lease, "the nodes have lost it")
				w.held(second, "nobody has taken it away")
				w.free(second)
			})
		})
	}
}

// A minority that lost its data does not decide: the others know the guard.
func TestMinorityForgetsTheGuard(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name == "semaphore" {
				return // on one node
			}
			for lost := range 3 {
				in(t, 3, func(w *world) {
					ten, none := w.client(guarded(10*time.Second)), w.client(guarded(0))
					time.Sleep(time.Hour)
					w.free(w.take(kind.try(ten)))
					w.lose(w.Nodes[lost])
					w.disagrees(kind.try(none), "0s", "10s", "two nodes know the guard")
					for _, n := range w.Nodes {
						if w.do(n, "EXISTS", kind.key) != 0 {
							w.Errorf("node %d has kept a hold of the attempt", n.Index)
						}
					}
					w.free(w.take(kind.try(ten)))
				})
			}
		})
	}
}
