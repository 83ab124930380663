package sim_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/tests/sim"
	"github.com/redlatch/redlatch/tests/testkit"
)

// TestTroubles has nodes refuse as Redis does.
func TestTroubles(t *testing.T) {
	const (
		reads   = `return {redis.call('EXISTS', KEYS[1])}`
		writes  = `redis.call('SET', KEYS[1], 'x', 'PX', 1000) return {1}`
		spares  = `return {redis.call('PEXPIRE', KEYS[1], 1000)}`
		clears  = `redis.call('DEL', 'absent') redis.call('SET', KEYS[1], 'x', 'PX', 1000) return {1}`
		catches = `return {redis.pcall('SET', KEYS[1], 'x').err and 1 or 0}`
	)
	tests := []struct {
		trouble sim.Fault
		code    string
		refused []string
		served  []string
	}{
		{sim.OutOfMemory, "OOM", []string{writes}, []string{reads, spares, clears, catches}},
		{sim.DiskFailed, "MISCONF", []string{writes, spares, clears}, []string{reads, catches}},
		{sim.NodeDemoted, "READONLY", []string{writes, spares, clears}, []string{reads, catches}},
		{sim.ServerBusy, "BUSY", []string{reads, writes, spares, clears, catches}, nil},
		{sim.Unauthorized, "WRONGPASS", []string{reads, writes, spares, clears, catches}, nil},
		{sim.SlotOpen, "", nil, []string{reads, writes, spares}},
	}
	for _, tt := range tests {
		testkit.Bubble(t, one(21), func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
			n, l := c.Nodes[0], c.Clients[0].Link(0)
			if !n.Trouble(tt.trouble) || n.Trouble(tt.trouble) {
				t.Errorf("%v: want it to begin once", tt.trouble)
			}
			for _, source := range tt.served {
				eval(t, l, source, "k")
			}
			for _, source := range tt.refused {
				if got, err := l.Eval(t.Context(), source, []string{"k"}, nil); err == nil || !strings.HasPrefix(err.Error(), tt.code+" ") {
					t.Errorf("%v: %s: got %v, %v, want %s", tt.trouble, source, got, err, tt.code)
				}
			}
			if got := stats.Faults(tt.trouble); len(tt.refused) > 0 && got != 1 {
				t.Errorf("%v: got it counted %d times, want 1", tt.trouble, got)
			}
			n.Relieve(tt.trouble)
			eval(t, l, writes, "k")
		})
	}
}

// TestSlotOpen lets calls of several keys through only where all of them exist.
func TestSlotOpen(t *testing.T) {
	testkit.Bubble(t, one(22), func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		n, l := c.Nodes[0], c.Clients[0].Link(0)
		const nothing = `return {1}`
		eval(t, l, set, "one", "v", "60000")
		n.Trouble(sim.SlotOpen)
		if _, err := l.Eval(t.Context(), nothing, []string{"one", "two"}, nil); err == nil || !strings.HasPrefix(err.Error(), "TRYAGAIN ") {
			t.Errorf("got %v, want TRYAGAIN where a key is absent", err)
		}
		// A single key that is absent is had from where the slot is moved to.
		eval(t, l, set, "two", "v", "60000")
		if _, err := l.Eval(t.Context(), nothing, []string{"one", "two"}, nil); err != nil {
			t.Errorf("got %v where all keys exist", err)
		}
		if _, err := l.Eval(t.Context(), `return {redis.call('EXISTS', 'three')}`, []string{"one"}, nil); err == nil || !strings.Contains(err.Error(), "non local key") {
			t.Errorf("got %v, want an error where a script uses a key that is absent", err)
		}
		if _, err := l.Eval(t.Context(), `return {redis.call('DEL', KEYS[1]), redis.call('EXISTS', KEYS[1])}`, []string{"one"}, nil); err == nil {
			t.Error("want an error where a script uses a key that it has deleted")
		}
		if got, _ := n.Command("EXISTS", "one"); got != 0 {
			t.Errorf("got EXISTS %v, want what the script has done stand", got)
		}
		if got := stats.Faults(sim.SlotOpen); got != 1 {
			t.Errorf("got it counted %d times, want 1", got)
		}
	})
}

// TestStaleConnections has a client go through its dead connections.
func TestStaleConnections(t *testing.T) {
	testkit.Bubble(t, one(23), func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		l := c.Clients[0].Link(0)
		l.Stale(2)
		for range 2 {
			before := time.Now()
			if _, err := l.Eval(t.Context(), incr, []string{"k"}, nil); !errors.Is(err, io.EOF) {
				t.Errorf("got %v, want EOF", err)
			}
			if took := time.Since(before); took > 2*time.Millisecond { // a moment of its own to meet it, another to hear of it
				t.Errorf("got the error after %v, want it at once", took)
			}
		}
		if got := eval(t, l, incr, "k"); got[0] != 1 {
			t.Errorf("got %v, want 1: no call over a dead connection arrives", got)
		}
		if got := stats.Faults(sim.StaleConn); got != 1 {
			t.Errorf("got %d counted, want 1", got)
		}
	})
}
