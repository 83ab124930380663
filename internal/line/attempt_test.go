package line_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
)

func TestMajorityDecides(t *testing.T) {
	grant := handler(func(c *call) ([]int64, error) { return c.run(), nil })
	refuse := reply(0, 1, 1000, -1, 1, 0)
	for n := 1; n <= 7; n++ {
		q := n/2 + 1
		for yes := 0; yes <= n; yes++ {
			for _, no := range []struct {
				name string
				h    handler
			}{{"refusing", refuse}, {"failing", failing}, {"silent", silent}} {
				t.Run(fmt.Sprintf("%d of %d grant, others %s", yes, n, no.name), func(t *testing.T) {
					virtual(t, func(t *testing.T) {
						ss := servers(n)
						for i, s := range ss {
							s.on("acquire", no.h)
							if i >= n-yes {
								s.on("acquire", grant)
							}
						}
						lease, err := mutex(t, ss, nil).TryLock(t.Context())
						switch {
						case (lease != nil) != (yes >= q):
							t.Fatalf("got %v, %v, want a lease from %d on", lease, err, q)
						case lease != nil:
							free(t, lease)
						case errors.Is(err, core.ErrNotAcquired) != (no.name == "refusing"):
							t.Errorf("got %v", err)
						}
						time.Sleep(2 * window)
						for i, s := range ss {
							if s.holder() != "" {
								t.Errorf("node %d still has a hold", i)
							}
						}
					})
				})
			}
		}
	}
}

// With half of an even number failing nothing can win any more.
func TestHalfFailingDecidesAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(4)
		ss[0].on("acquire", failing)
		ss[1].on("acquire", failing)
		ss[2].on("acquire", silent)
		ss[3].on("acquire", silent)
		began := time.Now()
		_, err := mutex(t, ss, nil).TryLock(t.Context())
		var node *core.NodeError
		if !errors.As(err, &node) || errors.Is(err, core.ErrNotAcquired) || time.Since(began) != 0 {
			t.Errorf("got %v after %v, want the nodes' errors at once", err, time.Since(began))
		}
	})
}

func TestOwnerIsNewForEveryAttempt(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		for _, s := range ss {
			s.seize(5 * time.Second)
		}
		l := mutex(t, ss, nil)
		for range 2 {
			lease, err := l.Lock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			free(t, lease)
		}
		seen := map[string]time.Time{}
		for _, c := range ss[0].seen("acquire") {
			if at, twice := seen[c.owner]; twice && at != c.at { // an attempt may ask a node again
				t.Errorf("the attempt at %v has the owner of that at %v", c.at, at)
			}
			seen[c.owner] = c.at
		}
		if len(seen) < 4 {
			t.Errorf("%d attempts, want several", len(seen))
		}
	})
}

// The undo of an attempt must not hit the next one's hold.
func TestLateUndoSparesTheNextAttempt(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(1)
		ss[0].on("acquire", func(c *call) ([]int64, error) {
			if len(ss[0].seen("acquire")) == 1 {
				return after(0, window/2)(c) // granted, but the caller leaves before it knows
			}
			return c.run(), nil
		})
		ss[0].on("release", after(2*time.Second, 0))
		l := mutex(t, ss, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want %v", err, context.DeadlineExceeded)
		}
		lease, err := l.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		owner := ss[0].holder()
		time.Sleep(window)
		if got := ss[0].holder(); got != owner || owner == "" {
			t.Errorf("the hold is %q, want %q: an undo hit it", got, owner)
		}
		ss[0].on("release", nil)
		free(t, lease)
	})
}

func TestNoUndoOfAnAttemptThatWon(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		ss[2].on("acquire", after(0, window-time.Second))
		lease := take(t, mutex(t, ss, nil))
		time.Sleep(window)
		for i, s := range ss {
			if len(s.seen("release")) != 0 || s.holder() == "" {
				t.Errorf("node %d: something was given back of a lease that is held", i)
			}
		}
		ss[0].onAll(failing) // the straggler counts: without it the lease would be lost
		time.Sleep(2 * expiry)
		if lease.Context().Err() != nil {
			t.Errorf("lost: %v", context.Cause(lease.Context()))
		}
		free(t, lease)
	})
}

// A caller that leaves: what it may have got is given back, by calls that its context
// does not end.
func TestCancelledAttemptIsUndone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		for _, s := range ss {
			s.on("acquire", after(50*time.Millisecond, 50*time.Millisecond))
			s.on("release", func(c *call) ([]int64, error) {
				if c.ctx.Err() != nil {
					t.Errorf("a release was sent with a context that has ended: %v", c.ctx.Err())
					return nil, c.ctx.Err()
				}
				return c.run(), nil
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(75*time.Millisecond, cancel)
		began := time.Now()
		_, err := mutex(t, ss, nil).Lock(ctx)
		var node *core.NodeError
		if !errors.Is(err, context.Canceled) || !errors.As(err, &node) || errors.Is(err, core.ErrNotAcquired) || time.Since(began) != 75*time.Millisecond {
			t.Errorf("got %v after %v, want %v and NodeErrors at once: nobody said that others have it", err, time.Since(began), context.Canceled)
		}
		for i, s := range ss {
			if s.holder() == "" {
				t.Fatalf("node %d has not granted", i)
			}
		}
		time.Sleep(time.Second)
		for i, s := range ss {
			if s.holder() != "" {
				t.Errorf("node %d still has the hold", i)
			}
		}
	})
}

// The claim of a lease does not end with the context that it was taken with.
func TestLeaseOutlivesTheContextOfLock(t *testing.T) {
	virtual(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Second)
		ss := servers(3)
		lease, err := mutex(t, ss, nil).Lock(ctx)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		cancel()
		time.Sleep(2 * expiry)
		held := lease.Context()
		if held.Err() != nil {
			t.Errorf("ended: %v", context.Cause(held))
		}
		if _, has := held.Deadline(); has || held.Value(key{}) != "value" {
			t.Errorf("got a deadline: %v, the value %v, want the values alone", has, held.Value(key{}))
		}
		if err := lease.Release(ctx); err != nil {
			t.Errorf("Release with a context that has ended: %v", err)
		}
		synctest.Wait()
		for i, s := range ss {
			if s.holder() != "" {
				t.Errorf("node %d still has the hold", i)
			}
		}
		if !errors.Is(context.Cause(held), core.ErrReleased) {
			t.Errorf("the cause is %v, want %v", context.Cause(held), core.ErrReleased)
		}
		select {
		case <-lease.Lost():
			t.Error("a release closed Lost")
		default:
		}
	})
}

func TestScriptIsSentAsSourceOnceToANodeThatDoesNotKnowIt(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(1)
		ss[0].uncached = true
		lease := take(t, mutex(t, ss, nil))
		if got := ss[0].seen("acquire"); len(got) != 1 || !got[0].source {
			t.Errorf("got %d calls that were answered, want 1, as source", len(got))
		}
		free(t, lease)
	})
}

// Nodes that keep what is free for one from the lead's line are asked again when the lead,
// which may answer last, has granted to one who stands in no line; and only then.
func TestKeptForNobody(t *testing.T) {
	for _, held := range []bool{false, true} {
		virtual(t, func(t *testing.T) {
			ss := servers(3)
			if held {
				ss[0].seize(time.Hour)
			}
			ss[0].on("acquire", after(0, 50*time.Millisecond))
			for _, s := range ss[1:] {
				s.on("acquire", func(c *call) ([]int64, error) {
					if c.args[5] != "again" {
						return []int64{0, time.Now().UnixMicro(), 1000, -1, 3, 0}, nil
					}
					return c.run(), nil
				})
			}
			lease, err := mutex(t, ss, nil).TryLock(t.Context())
			if held {
				if !errors.Is(err, core.ErrNotAcquired) || len(ss[1].seen("acquire")) != 1 {
					t.Errorf("got %v after %d calls, want %v after one", err, len(ss[1].seen("acquire")), core.ErrNotAcquired)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			free(t, lease)
		})
	}
}

// A lead that is silent does not hold up TryLock for long.
func TestKeptAndTheLeadIsSilent(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		ss[0].on("acquire", silent)
		for _, s := range ss[1:] {
			s.on("acquire", reply(0, 1, 1000, -1, 3, 0))
		}
		began := time.Now()
		_, err := mutex(t, ss, nil).TryLock(t.Context())
		if took := time.Since(began); !errors.Is(err, core.ErrNotAcquired) || took > 200*time.Millisecond {
			t.Errorf("got %v after %v, want %v within the lead's patience", err, took, core.ErrNotAcquired)
		}
	})
}

// A grant with a slot that no script gives is the node's failure, not a lease.
func TestImpossibleSlot(t *testing.T) {
	for _, slot := range []int64{-2, math.MaxInt32, 1 << 40} {
		virtual(t, func(t *testing.T) {
			s := servers(1)[0]
			s.on("acquire", func(c *call) ([]int64, error) {
				reply := c.run()
				reply[3] = slot
				return reply, nil
			})
			_, err := mutex(t, []*server{s}, nil).TryLock(t.Context())
			var node *core.NodeError
			if !errors.As(err, &node) {
				t.Errorf("slot %d: got %v, want a NodeError", slot, err)
			}
		})
	}
}
