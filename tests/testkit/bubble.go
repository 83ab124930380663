package testkit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/tests/sim"
)

// Bubble runs body in virtual time, with a cluster. Once body has returned, what it left
// under way, such as calls of clients that were killed, has a minute to end by itself: a
// goroutine that is left after that fails the test.
func Bubble(t *testing.T, config sim.Config, body func(t *testing.T, c *sim.Cluster, stats *sim.Stats)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		stats := &sim.Stats{}
		c, err := sim.New(config, stats)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		defer time.Sleep(time.Minute)
		body(t, c, stats)
	})
}
