package virtual_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A node that comes back makes the others prove once more that they are other servers. The
// leases go on meanwhile, though those have no memory left.
func TestVerificationNeedsNoMemory(t *testing.T) {
	in(t, 3, func(w *world) {
		var full, none strictness
		var away atomic.Bool
		var proved, refused atomic.Int32
		away.Store(true)
		c := w.client(core.Options{}, func(tp *tap) {
			(&full).around(&refused)(tp)
			if tp.node.Index == 2 {
				(&none).around(&refused)(tp)
			}
			tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
				if tp.node.Index == 2 && away.Load() {
					return nil, errors.New("connection refused")
				}
				reply, err := pass()
				if verb == "probe" && err == nil && full.full.Load() && tp.node.Index < 2 {
					proved.Add(1)
				}
				return reply, err
			}
		})
		lease := w.take(c.mutex().Lock)
		time.Sleep(2 * time.Minute) // the marks have faded
		full.full.Store(true)
		away.Store(false)
		time.Sleep(3 * expiry)
		w.held(lease, "a mark needs no memory")
		if proved.Load() < 2 {
			w.Errorf("%d nodes have proved it, want two", proved.Load())
		}
		w.free(lease)
	})
}

// A mark that is relied on once more stays for as long as one that is new.
func TestMarkStaysWhereItIsProvedAgain(t *testing.T) {
	in(t, 3, func(w *world) {
		var away atomic.Bool
		away.Store(true)
		c := w.client(core.Options{ExtensionCadence: time.Second}, func(tp *tap) {
			tp.call = func(_ string, pass func() ([]int64, error)) ([]int64, error) {
				if tp.node.Index == 2 && away.Load() {
					return nil, errors.New("connection refused")
				}
				return pass()
			}
		})
		lease := w.take(c.mutex().Lock)
		time.Sleep(52 * time.Second) // not to be relied on any more, but still there
		away.Store(false)
		time.Sleep(6 * time.Second) // the pause between two tries is an eighth of what is left
		for _, n := range w.Nodes {
			for _, key := range w.keys(n) {
				if left := w.do(n, "PTTL", key); strings.HasPrefix(key, "probe:") && left.(int) < 50_000 {
					w.Errorf("node %d: the mark stays for %v ms, want a minute: the others rely on it", n.Index, left)
				}
			}
		}
		w.free(lease)
	})
}
