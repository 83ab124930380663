package sharing_test

import (
	"testing"
	"time"

	"github.com/redlatch/redlatch/redlock"
	"github.com/redlatch/redlatch/tests/testkit"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// onServers gives each client connections of its own. On a machine that stands still, and while the
// clients find out which node is dead, a few may overtake.
func onServers(t *testing.T, s *clients.Site, name string) func(int) *redlock.RWMutex {
	return func(int) *redlock.RWMutex { return s.Connect(t, nil).RWMutex(name) }
}

func TestWriterInAStreamOfReaders(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		testkit.Stream(t, onServers(t, s, name), "reader", "writer", 5, 2*time.Second, 6)
		s.Clean(t, name)
	})
}

func TestReaderInAStreamOfWriters(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		testkit.Stream(t, onServers(t, s, name), "writer", "reader", 5, 2*time.Second, 6)
		s.Clean(t, name)
	})
}
