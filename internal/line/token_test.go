package line_test

import (
	"strings"
	"testing"
	"time"
)

// uneven returns servers whose counters are so far ahead of the clock that each grants
// another token; the first one's is the highest.
func uneven(n int) []*server {
	ss := servers(n)
	for i, s := range ss {
		s.token = time.Now().Add(time.Second).UnixMicro() - int64(i)
	}
	return ss
}

func TestTokenIsTheHighestAndStandsOnAMajority(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := uneven(5)
		highest := ss[0].counter() + 1
		for _, s := range ss {
			s.on("extend", after(0, 100*time.Millisecond))
		}
		began := time.Now()
		lease := take(t, mutex(t, ss, nil))
		if lease.Token() != highest {
			t.Errorf("got the token %d, want the highest of the counters, %d", lease.Token(), highest)
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("TryLock took %v, want the 100ms of a write-back", took)
		}
		have := 0
		for _, s := range ss {
			if s.counter() >= lease.Token() {
				have++
			}
		}
		if have < 3 {
			t.Errorf("%d of 5 counters have reached the token, want a majority", have)
		}
		validUntil(t, lease, began.Add(worth), "the write-back, sent at once, is worth as much as the grant")
		free(t, lease)
	})
}

func TestOneRoundTripWhereAllAnswerAlike(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(5)
		lease := take(t, mutex(t, ss, nil))
		for i, s := range ss {
			if n := len(s.seen("extend")); n != 0 {
				t.Errorf("node %d: %d write-backs, want none", i, n)
			}
		}
		free(t, lease)
	})
}

// gone answers when the hold has gone.
func gone(c *call) ([]int64, error) {
	c.forget()
	return c.run(), nil
}

// anothers answers when another has the lock.
func anothers(c *call) ([]int64, error) {
	c.seize(time.Second)
	return c.run(), nil
}

// A write-back that does not reach a majority in time: the token must not be handed out.
func TestNoLeaseBeforeTheTokenIsWrittenBack(t *testing.T) {
	tests := []struct {
		name  string
		write handler
		says  string
	}{
		{"silent", silent, "within 3s"},
		{"too late", after(0, window+window/64), "too late"},
		{"only after the window", after(0, 2*window), "too late"},
		{"failing", failing, "connection refused"},
		{"gone meanwhile", gone, ""},
		{"another's meanwhile", anothers, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ss := uneven(3)
				for _, s := range ss {
					s.on("extend", tt.write)
				}
				lease, err := mutex(t, ss, nil).TryLock(t.Context())
				if err == nil {
					t.Fatalf("got the token %d, which stands on one node", lease.Token())
				}
				if !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %q, want it to say %q", err, tt.says)
				}
				time.Sleep(3 * window)
				for i, s := range ss {
					if s.holder() != "" {
						t.Errorf("node %d still has the hold of the attempt that failed", i)
					}
				}
			})
		})
	}
}

// Holders whose majorities share one node only: each token is above the one before.
func TestTokensIncreaseOverMajoritiesThatShareOneNode(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := uneven(3)
		var last int64
		for round := range 20 {
			down := ss[round%3]
			down.onAll(failing)
			// A client of its own each time, with a clock that is far behind.
			w := &wall{}
			w.step(-time.Hour)
			lease := take(t, mutex(t, ss, w.options()))
			if lease.Token() <= last {
				t.Errorf("round %d: got the token %d after %d", round, lease.Token(), last)
			}
			last = lease.Token()
			free(t, lease)
			time.Sleep(time.Minute) // for what is under way
			down.onAll(nil)
		}
	})
}

func TestExtensionKeepsTheTokenUp(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		lease := take(t, mutex(t, ss, nil))
		for _, s := range ss {
			s.mu.Lock()
			s.token = 0
			s.mu.Unlock()
		}
		ss[1].forget()
		time.Sleep(cadence + time.Second)
		for i, s := range ss {
			if s.counter() != lease.Token() {
				t.Errorf("node %d: the counter is %d after an extension or a repair, want %d", i, s.counter(), lease.Token())
			}
		}
		free(t, lease)
	})
}
