package line_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A node that was repaired does not make up a majority before the deadline has moved
// without it: "extended" there does not show that the hold has stood all the time.
func TestRepairDoesNotCount(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		lease := take(t, mutex(t, ss, nil))
		began := time.Now()
		ss[1].forget()
		ss[2].on("extend", silent)
		time.Sleep(cadence + time.Second)
		if len(ss[1].seen("repair")) == 0 || ss[1].holder() == "" {
			t.Fatal("the node that lost the hold was not repaired")
		}
		validUntil(t, lease, began.Add(worth), "the put counted")
		time.Sleep(cadence)
		if got := len(ss[1].seen("extend")); got != 2 {
			t.Fatalf("the repaired node was asked %d times, want 2", got)
		}
		validUntil(t, lease, began.Add(worth), "the extension of what was put back counted")
		lostAt(t, lease, began.Add(worth), "one node has the hold, one was repaired, one is silent")
	})
}

// Once the deadline has moved without the repaired node, the node counts again: the
// lease outlives the failure of another one.
func TestRepairedNodeCountsAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		lease := take(t, mutex(t, ss, nil))
		ss[1].forget()
		time.Sleep(2*cadence + time.Second) // one round to find it out, one to prove the others
		if len(ss[1].seen("repair")) != 1 {
			t.Fatalf("%d repairs, want 1", len(ss[1].seen("repair")))
		}
		ss[2].onAll(failing)
		time.Sleep(10 * expiry)
		if lease.Context().Err() != nil {
			t.Error("lost, although a majority has answered all the time")
		}
		free(t, lease)
	})
}

// An answer to a call that began before the deadline moved without the repaired node
// does not count, even if it comes after.
func TestAnswerFromBeforeTheRepairWasProvenDoesNotCount(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		lease := take(t, mutex(t, ss, nil))
		began := time.Now()
		ss[1].forget()
		ss[1].on("extend", func(c *call) ([]int64, error) {
			switch len(ss[1].seen("extend")) {
			case 1:
				return c.run(), nil // absent
			case 2:
				return after(0, 3*time.Second)(c)
			}
			return silent(c)
		})
		ss[2].on("extend", func(c *call) ([]int64, error) {
			if len(ss[2].seen("extend")) == 1 { // the proof comes while node 1 is asked again
				return after(0, cadence+2*time.Second)(c)
			}
			return silent(c)
		})
		time.Sleep(2*cadence + time.Second)
		if len(ss[1].seen("repair")) != 1 || len(ss[1].seen("extend")) != 2 {
			t.Fatal("node 1 was not repaired and asked again")
		}
		validUntil(t, lease, began.Add(worth), "only node 0 has confirmed")
		time.Sleep(1500 * time.Millisecond)
		validUntil(t, lease, began.Add(cadence+worth), "nodes 0 and 2 have confirmed")
		time.Sleep(time.Second)
		validUntil(t, lease, began.Add(cadence+worth), "the answer to a call from before the proof counted")
		lostAt(t, lease, began.Add(cadence+worth), "only node 0 has confirmed since")
	})
}

func TestNoRepairOfAnothersHold(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		lease := take(t, mutex(t, ss, nil))
		ss[1].seize(time.Hour)
		time.Sleep(3 * expiry)
		if n := len(ss[1].seen("repair")); n != 0 {
			t.Errorf("%d repairs were sent to a node that another has", n)
		}
		if lease.Context().Err() != nil {
			t.Error("lost, although a majority has answered all the time")
		}
		free(t, lease)
	})
}

func TestLostWhenTheMajorityIsGone(t *testing.T) {
	tests := []struct {
		name  string
		nodes int
		gone  int
		lost  bool
	}{
		{"the only one", 1, 1, true},
		{"1 of 3", 3, 1, false},
		{"2 of 3", 3, 2, true},
		{"2 of 4", 4, 2, true},
		{"2 of 5", 5, 2, false},
		{"3 of 5", 5, 3, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ss := servers(tt.nodes)
				lease := take(t, mutex(t, ss, nil))
				began := time.Now()
				for _, s := range ss[:tt.gone] {
					s.seize(time.Hour)
				}
				if tt.lost {
					lostAt(t, lease, began.Add(cadence), "the next round finds the majority gone")
				} else {
					time.Sleep(2 * expiry)
				}
				if lost := lease.Context().Err() != nil; lost != tt.lost {
					t.Errorf("got lost: %v, want %v", lost, tt.lost)
				}
				if err := lease.Release(t.Context()); errors.Is(err, core.ErrLost) != tt.lost {
					t.Errorf("Release: got %v", err)
				}
				time.Sleep(window)
				for i, s := range ss[tt.gone:] {
					if s.holder() != "" {
						t.Errorf("node %d still has the hold", tt.gone+i)
					}
				}
			})
		})
	}
}
