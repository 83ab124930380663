package line_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
)

func TestDeadlineCountsFromBeforeTheCall(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5} {
		t.Run(fmt.Sprint(n, " nodes"), func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ss := servers(n)
				for _, s := range ss {
					s.on("acquire", after(700*time.Millisecond, 900*time.Millisecond))
				}
				began := time.Now()
				lease := take(t, mutex(t, ss, nil))
				if took := time.Since(began); took != 1600*time.Millisecond {
					t.Fatalf("TryLock took %v, want 1.6s", took)
				}
				validUntil(t, lease, began.Add(worth), "counted from another moment than the call's begin, or without the drift")
				free(t, lease)
			})
		})
	}
}

func TestExtensionCountsFromBeforeItsCall(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " nodes"), func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ss := servers(n)
				lease := take(t, mutex(t, ss, nil))
				began := time.Now()
				for _, s := range ss {
					s.on("extend", after(time.Second, time.Second))
				}
				time.Sleep(cadence + 1500*time.Millisecond)
				validUntil(t, lease, began.Add(worth), "moved before the answer was there")
				time.Sleep(time.Second)
				validUntil(t, lease, began.Add(cadence+worth), "counted from another moment than the extension's begin")
				free(t, lease)
			})
		})
	}
}

func TestEachAttemptCountsFromItsOwnBegin(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		for _, s := range ss {
			s.seize(20 * time.Second)
		}
		began := time.Now()
		lease, err := mutex(t, ss, nil).Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited < 20*time.Second {
			t.Fatalf("held after %v, want a wait of 20s", waited)
		}
		asked := ss[0].seen("acquire")
		validUntil(t, lease, asked[len(asked)-1].at.Add(worth), "not counted from the begin of the attempt that won")
		free(t, lease)
	})
}

// Of an extension that is answered late, the answer counts from that extension's begin,
// although another one has been sent since.
func TestLateAnswerCountsFromItsOwnBegin(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(1)
		lease := take(t, mutex(t, ss, nil))
		began := time.Now()
		ss[0].on("extend", func(c *call) ([]int64, error) {
			if len(ss[0].seen("extend")) == 1 {
				return after(0, window+time.Second)(c)
			}
			return silent(c)
		})
		time.Sleep(cadence + window + 1500*time.Millisecond)
		if sent := len(ss[0].seen("extend")); sent != 2 {
			t.Fatalf("%d extensions have been sent, want 2", sent)
		}
		validUntil(t, lease, began.Add(cadence+worth), "the late answer counted from another call's begin")
		free(t, lease)
	})
}

// The deadline is the one that a majority is confirmed to reach.
func TestDeadlineIsTheMajoritys(t *testing.T) {
	tests := []struct {
		name     string
		extended int // nodes that answer extensions, of 5
		until    time.Duration
	}{
		{"a minority extends", 2, worth},
		{"a majority extends", 3, cadence + worth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ss := servers(5)
				lease := take(t, mutex(t, ss, nil))
				began := time.Now()
				for _, s := range ss[tt.extended:] {
					s.on("extend", silent)
				}
				time.Sleep(cadence + time.Second)
				validUntil(t, lease, began.Add(tt.until), "it is not the third latest of the five nodes'")
				for _, s := range ss {
					s.on("extend", silent)
				}
				lostAt(t, lease, began.Add(tt.until), "nobody answers any more")
			})
		})
	}
}

func TestGrantedTooLate(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		// The contexts of calls end a little after the window: what comes in between is
		// an answer, and too late all the same.
		ss[1].on("acquire", after(0, window+window/64))
		ss[2].on("acquire", silent)
		_, err := mutex(t, ss, nil).TryLock(t.Context())
		if err == nil || errors.Is(err, core.ErrNotAcquired) || !strings.Contains(err.Error(), "too late") {
			t.Errorf("got %v, want an error that says that the grant came too late", err)
		}
		if err != nil && (!strings.Contains(err.Error(), (window+window/64).String()) || !strings.Contains(err.Error(), window.String())) {
			t.Errorf("got %q, want it to name the time it took and the window", err)
		}
		time.Sleep(window)
		for i, s := range ss {
			if owner := s.holder(); owner != "" {
				t.Errorf("node %d still has the hold of the attempt that failed", i)
			}
		}
	})
}

func TestLostAtTheDeadlineWhateverTheNetworkDoes(t *testing.T) {
	for name, h := range map[string]handler{
		"silent": silent, "failing": failing, "far too slow": after(time.Minute, time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ss := servers(3)
				lease := take(t, mutex(t, ss, nil))
				began := time.Now()
				for _, s := range ss {
					s.onAll(h)
				}
				lostAt(t, lease, began.Add(worth), "no node answers")
				if err := lease.Release(t.Context()); !errors.Is(err, core.ErrLost) {
					t.Errorf("Release: got %v, want %v", err, core.ErrLost)
				}
			})
		})
	}
}

// A grant that is counted late, when one of the clocks has passed the deadline, does not
// move it any more: others may have had the lock since.
func TestLateGrantDoesNotRevive(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, began := &wall{}, time.Now()
		ss := servers(5)
		for i, s := range ss {
			s.on("acquire", func(c *call) ([]int64, error) {
				switch {
				case i == 0 && len(c.args) == 7, c.args[5] == "free", i > 1 && time.Now().Equal(began):
					// Held; then released, which not all have heard of.
					return []int64{0, time.Now().UnixMicro(), 0, -1, 1, 0}, nil
				case i == 4:
					return after(0, 900*time.Millisecond)(c) // before anybody looks at the wall clock
				}
				return c.run(), nil
			})
			s.on("extend", silent)
		}
		lease, err := mutex(t, ss, w.options()).Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // Lock has not waited for node 4
		asked := ss[4].seen("acquire")
		early, late := lease.ValidUntil(), asked[len(asked)-1].at.Add(worth)
		if !late.After(early) {
			t.Fatalf("node 4 was asked again %v after the lead, want later", late.Sub(early))
		}
		time.Sleep(800 * time.Millisecond)
		w.step(time.Until(early) - 100*time.Millisecond + late.Sub(early)/2)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if cause := context.Cause(lease.Context()); !errors.Is(cause, core.ErrLost) {
			t.Errorf("the cause is %v, want %v: the grant was counted after the deadline", cause, core.ErrLost)
		}
	})
}
