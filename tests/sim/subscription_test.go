package sim_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/tests/sim"
	"github.com/redlatch/redlatch/tests/testkit"
)

// listen subscribes in the background and returns what has arrived so far.
func listen(t *testing.T, l *sim.Link, channel string) (heard func() string, stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	ready, end := make(chan struct{}), make(chan error, 1)
	var all []string
	go func() {
		end <- l.Subscribe(ctx, channel, func() { close(ready) }, func(p string) { all = append(all, p) })
	}()
	<-ready
	return func() string { synctest.Wait(); return strings.Join(all, " ") },
		func() error { cancel(); return <-end }
}

func TestPublishReachesSubscribers(t *testing.T) {
	testkit.Bubble(t, sim.Config{Seed: 6, Nodes: 1, Clients: 3}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		first, stopFirst := listen(t, c.Clients[0].Link(0), "news")
		second, stopSecond := listen(t, c.Clients[1].Link(0), "news")
		for i := range 5 {
			eval(t, c.Clients[2].Link(0), shout, "news", fmt.Sprint(i))
			eval(t, c.Clients[2].Link(0), shout, "else", "x")
		}
		time.Sleep(time.Second)
		if first() != "0 1 2 3 4" || second() != "0 1 2 3 4" {
			t.Errorf("got %q and %q, want every message in order", first(), second())
		}
		if err := stopFirst(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
		if n := c.Nodes[0].Subscriptions(); n != 1 {
			t.Errorf("got %d subscriptions left, want 1", n)
		}
		if err := c.Nodes[0].Crash(sim.KeepAll); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := stopSecond(); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("got %v after a crash, want a connection error", err)
		}
		if stats.Published.Load() != 10 || stats.Delivered.Load() != 10 {
			t.Errorf("got %d published, %d delivered, want 10 each", stats.Published.Load(), stats.Delivered.Load())
		}
	})
}

// TestPushDeaf has a node's subscriptions go deaf: those that it has, not those that come.
func TestPushDeaf(t *testing.T) {
	testkit.Bubble(t, sim.Config{Seed: 9, Nodes: 1, Clients: 3}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		first, stopFirst := listen(t, c.Clients[0].Link(0), "news")
		breakOff := c.Nodes[0].Deafen()
		second, stopSecond := listen(t, c.Clients[1].Link(0), "news")
		for range 2 {
			eval(t, c.Clients[2].Link(0), shout, "news", "x")
		}
		time.Sleep(time.Second)
		if first() != "" || second() != "x x" {
			t.Errorf("got %q and %q, want nothing and both", first(), second())
		}
		breakOff()
		synctest.Wait()
		if err := stopFirst(); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want a connection error", err)
		}
		if err := stopSecond(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
		if got := stats.Faults(sim.PushDeaf); got != 1 {
			t.Errorf("got %d counted, want 1", got)
		}
	})
}

func TestMessageFaults(t *testing.T) {
	tests := []struct {
		fault  sim.Fault
		faults sim.Faults
		want   string
	}{
		{sim.MessageLost, sim.Faults{MessageLost: 1}, ""},
		{sim.MessageRepeated, sim.Faults{MessageRepeated: 1}, "a a"},
		{sim.Deaf, sim.Faults{Deaf: 1}, ""},
	}
	for i, tt := range tests {
		testkit.Bubble(t, sim.Config{Seed: uint64(200 + i), Nodes: 1, Clients: 2}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
			c.SetFaults(&tt.faults)
			heard, stop := listen(t, c.Clients[0].Link(0), "news")
			time.Sleep(31 * time.Second)
			eval(t, c.Clients[1].Link(0), shout, "news", "a")
			time.Sleep(time.Second)
			if heard() != tt.want {
				t.Errorf("%v: got %q, want %q", tt.fault, heard(), tt.want)
			}
			stop()
			if stats.Faults(tt.fault) != 1 {
				t.Errorf("%v: got counted\n%s", tt.fault, stats.FaultTable())
			}
		})
	}
}
