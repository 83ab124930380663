package locks_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/sim"
)

// inBubble runs body in virtual time, with a cluster. A goroutine that is left at the
// end fails the test.
func inBubble(t *testing.T, config sim.Config, body func(t *testing.T, c *sim.Cluster, stats *sim.Stats)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		stats := &sim.Stats{}
		c, err := sim.New(config, stats)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		body(t, c, stats)
		// What has been left under way ends by itself.
		time.Sleep(time.Minute)
	})
}

// simulated returns the provider of a client of a cluster.
func simulated(t *testing.T, c *sim.Client, opts core.Options) *redlatch.Provider {
	t.Helper()
	opts.Now = c.Wall.Now
	p, err := redlatch.New(c.Nodes(), &opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cut cuts or mends all links of a client.
func cut(c *sim.Client, off bool) {
	for i := range c.Nodes() {
		c.Link(i).Cut(off)
	}
}

// left returns how many keys a node has.
func left(t *testing.T, n *sim.Node) any {
	t.Helper()
	keys, err := n.Command("DBSIZE")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// ended returns a channel that gets the moment at which ctx ends.
func ended(ctx context.Context) <-chan time.Time {
	at := make(chan time.Time, 1)
	go func() {
		<-ctx.Done()
		at <- time.Now()
	}()
	return at
}
