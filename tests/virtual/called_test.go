package virtual_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A grant says how long ago its ticket was called, of every kind of lock, in the quick way
// and in the others.
func TestGrantTellsWhenItsTicketWasCalled(t *testing.T) {
	kinds := map[string]func(c *client) taking{
		"mutex":     func(c *client) taking { return c.mutex().Lock },
		"reader":    func(c *client) taking { return c.rw().RLock },
		"writer":    func(c *client) taking { return c.rw().Lock },
		"semaphore": func(c *client) taking { return c.semaphore(1).Acquire },
	}
	for _, nodes := range []int{1, 3} {
		for kind, lock := range kinds {
			t.Run(fmt.Sprint(kind, " nodes ", nodes), func(t *testing.T) {
				in(t, nodes, func(w *world) {
					var mu sync.Mutex // of said
					var said []time.Duration
					note := func(tp *tap) {
						tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
							reply, err := pass()
							if verb == "acquire" && tp.node.Index == 0 && err == nil && reply[0] == 1 {
								mu.Lock()
								said = append(said, time.Duration(reply[4])*time.Microsecond)
								mu.Unlock()
							}
							return reply, err
						}
					}
					other := w.client(patient)
					first := other.mutex().Lock
					switch kind {
					case "reader", "writer":
						first = other.rw().Lock
					case "semaphore":
						first = other.semaphore(1).Acquire
					}
					held := w.take(first)
					c := w.client(patient, note)
					wt := w.wait(lock(c))
					c.Pause(false)
					w.free(held)
					const late = 60 * time.Millisecond
					time.Sleep(late)
					c.Resume()
					w.free(wt.within(near, "it was called"))
					w.free(w.take(lock(c)))
					mu.Lock()
					defer mu.Unlock()
					if len(said) != 2 || said[0] < late || said[0] > late+2*near || said[1] > 0 {
						t.Errorf("the grants say that their tickets were called %v ago, want a little more than %v, and none that a new ticket was", said, late)
					}
				})
			})
		}
	}
}

// A refusal says that a ticket did not stand in line any more: it was called, nobody came,
// and somebody else's poll has dropped it.
func TestRefusalTellsThatItsTicketWasDropped(t *testing.T) {
	in(t, 1, func(w *world) {
		var mu sync.Mutex // of said
		var said []int64
		held := w.take(w.client(patient).mutex().Lock)
		c := w.client(patient, func(tp *tap) {
			tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				reply, err := pass()
				if verb == "acquire" && err == nil && reply[0] == 0 {
					mu.Lock()
					said = append(said, reply[5])
					mu.Unlock()
				}
				return reply, err
			}
		})
		late := w.wait(c.mutex().Lock)
		c.Pause(false)
		w.free(held)
		other := w.wait(w.client(core.Options{}).mutex().Lock)
		lease := other.within(time.Second, "the called one did not come")
		mu.Lock()
		before := len(said)
		mu.Unlock()
		c.Resume()
		time.Sleep(near)
		mu.Lock()
		if len(said) != before+1 || said[before] != -1 {
			t.Errorf("the refusals say %v, want one more after the first %d, and -1", said, before)
		}
		mu.Unlock()
		w.free(lease)
		w.free(late.within(near, "it was called"))
	})
}
