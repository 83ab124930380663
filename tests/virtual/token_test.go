package virtual_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// rises takes and releases a mutex and fails the test unless its token is above last.
func (w *world) rises(c *client, last int64, why string) int64 {
	w.Helper()
	lease := w.take(c.mutex().Lock)
	if lease.Token() <= last {
		w.Errorf("got the token %d, want more than %d: %s", lease.Token(), last, why)
	}
	w.free(lease)
	return lease.Token()
}

func TestTokensRiseForAllClocks(t *testing.T) {
	each(t, func(w *world) {
		var last int64
		for _, off := range []time.Duration{0, -time.Hour, time.Hour, 48 * time.Hour, -48 * time.Hour, 0} {
			c := w.client(core.Options{})
			c.Wall.Step(off)
			for range 5 {
				last = w.rises(c, last, "the client's clock is off by "+off.String())
			}
		}
		if ahead := time.Until(time.UnixMicro(last)); ahead > 2*time.Second {
			w.Errorf("the tokens are %v ahead of the servers' clocks", ahead)
		}
	})
}

// A counter may expire. Then the clock has passed it.
func TestTokensRiseAfterTheCounterExpired(t *testing.T) {
	each(t, func(w *world) {
		c := w.client(core.Options{})
		var last int64
		for _, pause := range []time.Duration{0, time.Second, time.Minute, 3 * time.Minute, 10 * time.Minute, time.Hour} {
			time.Sleep(pause)
			last = w.rises(c, last, "it was unused for "+pause.String())
		}
		time.Sleep(5 * time.Minute)
		for _, n := range w.Nodes {
			if left := w.keys(n); len(left) != 0 {
				w.Errorf("node %d still has %q", n.Index, left)
			}
		}
	})
}

// A counter that is ahead of its node's clock is kept until the clock has passed it.
func TestCounterOutlivesANodeClockSetBack(t *testing.T) {
	in(t, 1, func(w *world) {
		w.untidy = true
		last := w.rises(w.client(core.Options{}), 0, "the first")
		w.Nodes[0].Step(-time.Hour)
		last = w.rises(w.client(core.Options{}), last, "the node's clock was set back")
		// The server keeps its TTLs as times on that clock: forget how long it was kept.
		w.do(w.Nodes[0], "PEXPIRE", "{m}:mutex:meta", "1000")
		last = w.rises(w.client(core.Options{}), last, "each grant renews the counter's TTL")
		time.Sleep(30 * time.Minute)
		w.rises(w.client(core.Options{}), last, "the clock has not passed the counter yet")
	})
}

// A lease that is held for long keeps the counter.
func TestExtensionRenewsTheCounter(t *testing.T) {
	each(t, func(w *world) {
		w.untidy = true
		lease := w.take(w.client(core.Options{}).mutex().Lock)
		time.Sleep(20 * time.Minute)
		w.held(lease, "it has been extended")
		w.free(lease)
		for _, n := range w.Nodes {
			n.Step(-time.Hour)
		}
		w.rises(w.client(core.Options{}), lease.Token(), "the nodes' clocks were set back")
	})
}

// A node whose clock is days ahead does not carry its tokens over to the others, which
// would refuse the lock until their clocks are there.
func TestClockFarAheadStaysOnItsNode(t *testing.T) {
	in(t, 3, func(w *world) {
		w.untidy = true
		w.Nodes[0].Step(72 * time.Hour)
		var last int64
		for range 5 {
			lease := w.take(w.client(core.Options{}).mutex().TryLock)
			if lease.Token() <= last {
				w.Errorf("got the token %d, want more than %d", lease.Token(), last)
			}
			last = lease.Token()
			time.Sleep(5 * time.Minute)
			w.held(lease, "the node whose clock is ahead counts for the hold")
			w.free(lease)
		}
		for _, n := range w.Nodes[1:] {
			stored, _ := w.do(n, "HGET", "{m}:mutex:meta", "token").(string)
			if token, _ := strconv.ParseInt(stored, 10, 64); time.Until(time.UnixMicro(token)) > 24*time.Hour {
				w.Errorf("node %d: the counter is %v ahead", n.Index, time.Until(time.UnixMicro(token)))
			}
		}
		w.Nodes[1].Pause()
		if _, err := w.client(core.Options{}).mutex().TryLock(w.Context()); err == nil || !strings.Contains(err.Error(), "more than a day ahead") {
			w.Errorf("got %v, want it to say what is wrong with the only majority", err)
		}
		w.Nodes[1].Resume()
		time.Sleep(time.Minute)
		w.Nodes[0].Step(-72 * time.Hour)
		w.rises(w.client(core.Options{}), last, "the clock was put right")
	})
}

func TestCounterFarAheadIsRefused(t *testing.T) {
	each(t, func(w *world) {
		w.untidy = true
		ahead := strconv.FormatInt(time.Now().Add(25*time.Hour).UnixMicro(), 10)
		for _, n := range w.Nodes {
			w.do(n, "HSET", "{m}:mutex:meta", "token", ahead)
		}
		if lease, err := w.client(core.Options{}).mutex().TryLock(w.Context()); err == nil {
			w.Errorf("got the token %d, an hour more than a day ahead", lease.Token())
		}
		time.Sleep(time.Second)
		for _, n := range w.Nodes {
			if w.do(n, "EXISTS", "m") != 0 {
				w.Errorf("node %d has a hold of the attempt that failed", n.Index)
			}
		}
	})
}
