package sim

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A Client is a process that uses the library: a link to each node and a wall
// clock. Its methods are safe for concurrent use.
type Client struct {
	Index int
	Wall  *Clock

	// ReadTimeout is when the client library gives up on a reply.
	ReadTimeout time.Duration
	// HonoursCtx says that the client library comes back when a call's context
	// ends; some only do so at their read timeout.
	HonoursCtx bool

	cluster *Cluster
	links   []*Link
	end     func() // ends its workers

	provider atomic.Pointer[provider] // that its workers use

	mu      sync.Mutex
	running chan struct{} // closed while the client is not paused
	stalled time.Time     // when the wall clock was stopped, zero: it runs
	killed  bool
}

// Nodes is what the library is given.
func (c *Client) Nodes() []core.Scripter {
	nodes := make([]core.Scripter, len(c.links))
	for i, l := range c.links {
		nodes[i] = l
	}
	return nodes
}

// Link is the link to a node.
func (c *Client) Link(node int) *Link { return c.links[node] }

// now is what the library reads as the wall clock.
func (c *Client) now() time.Time {
	c.cluster.shuffle.yield()
	return c.Wall.Now()
}

// Pause stops the client; with stall its wall clock stands still as well.
func (c *Client) Pause(stall bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.running:
	default:
		return
	}
	c.running = make(chan struct{})
	c.cluster.stats.Count(ClientPaused)
	if stall {
		c.stalled = time.Now()
		c.Wall.SetRate(0)
	}
}

// Resume lets a paused client go on; a wall clock that stood still jumps to
// where it would be.
func (c *Client) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.running:
		return
	default:
	}
	if !c.stalled.IsZero() {
		c.Wall.SetRate(1)
		c.Wall.Step(time.Since(c.stalled))
		c.stalled = time.Time{}
	}
	close(c.running)
}

// Step moves the client's wall clock by d at once.
func (c *Client) Step(d time.Duration) {
	c.cluster.stats.Count(ClientStepped)
	c.Wall.Step(d)
}

// Kill ends the client: what it has sent still arrives, nothing is sent or
// received from now on.
func (c *Client) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.killed {
		c.killed = true
		c.cluster.stats.Count(ClientKilled)
	}
}

// Killed tells whether the client is gone.
func (c *Client) Killed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed
}

// awake waits while the client is paused. d tells apart goroutines that go on
// at one instant.
func (c *Client) awake(d Dice) {
	for {
		c.mu.Lock()
		running := c.running
		c.mu.Unlock()
		select {
		case <-running:
			return
		default:
		}
		<-running
		time.Sleep(d.Named("awake").Between(0, stagger))
	}
}
