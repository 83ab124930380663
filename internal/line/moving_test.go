package line_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A node of a cluster has answered when it says that it does not serve the name at the
// moment: Lock waits, from its first attempt on.
func TestLockWaitsWhileASlotIsMoved(t *testing.T) {
	for _, says := range []string{
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"ASK 2063 127.0.0.1:7001",
		"ERR Script attempted to access a non local key in a cluster node script: f, on @user_script:12.",
	} {
		virtual(t, func(t *testing.T) {
			ss := servers(1)
			var asked atomic.Int64
			opened := time.Now()
			ss[0].onAll(func(c *call) ([]int64, error) {
				if time.Since(opened) < time.Minute {
					asked.Add(1)
					return nil, errors.New(says)
				}
				return c.run(), nil
			})
			lease, err := mutex(t, ss, nil).Lock(t.Context())
			if err != nil {
				t.Fatalf("Lock: %v", err)
			}
			if waited := time.Since(opened); waited < time.Minute || waited > time.Minute+time.Second || asked.Load() < 60 {
				t.Errorf("held after %v and %d calls in vain, want a minute of them", waited, asked.Load())
			}
			free(t, lease)
		})
	}
}

// A cluster's client may spend its retries on a slot that is moved in the end, and tell
// MOVED. One that is not made for a cluster tells it for ever.
func TestLockAsksOnceMoreAfterMoved(t *testing.T) {
	for _, c := range []struct {
		name     string
		times    int
		attempts int
		held     bool
	}{{"a cluster's client", 1, 2, true}, {"another client", 100, 2, false}} {
		virtual(t, func(t *testing.T) {
			ss := servers(1)
			told := 0
			ss[0].on("acquire", func(call *call) ([]int64, error) {
				if told++; told <= c.times {
					return nil, errors.New("MOVED 2063 127.0.0.1:7001")
				}
				return call.run(), nil
			})
			began := time.Now()
			lease, err := mutex(t, ss, nil).Lock(t.Context())
			var node *core.NodeError
			if c.held != (err == nil) || err != nil && !errors.As(err, &node) {
				t.Errorf("%s: got %v", c.name, err)
			}
			if n := len(ss[0].seen("acquire")); n != c.attempts || time.Since(began) > 0 {
				t.Errorf("%s: %d attempts within %v, want %d at once", c.name, n, time.Since(began), c.attempts)
			}
			if lease != nil {
				free(t, lease)
			}
		})
	}
}
