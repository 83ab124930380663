package redistest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// embedded is the kind that runs miniredis in this process.
type embedded struct{}

func (embedded) serves(_ context.Context, req request) error {
	if req.topology != "" {
		return fmt.Errorf("miniredis is no %s: %w", req.topology, ErrUnsupported)
	}
	if req.image != "" {
		return fmt.Errorf("miniredis is not %s: %w", req.image, ErrUnsupported)
	}
	return nil
}

func (embedded) start(_ context.Context, _ int, spec spec) (node, error) {
	n := &embeddedNode{redis: miniredis.NewMiniRedis(), spec: spec}
	n.redis.ClockTTL(true) // keys expire by themselves, as on a real server
	return n, n.listen()
}

type embeddedNode struct {
	redis *miniredis.Miniredis
	spec  spec
	since time.Time

	mu   sync.Mutex
	gate chan struct{} // not nil: commands wait until it is closed
	dead bool          // commands are dropped
}

func (n *embeddedNode) addr() string { return fmt.Sprintf("127.0.0.1:%d", n.spec.port) }

func (n *embeddedNode) listen() error {
	if err := n.redis.StartAddr(n.addr()); err != nil {
		return fmt.Errorf("%w: %w", errPortTaken, err)
	}
	n.since = time.Now()
	n.mu.Lock()
	n.dead = false
	n.mu.Unlock()
	n.redis.Server().SetPreHook(n.before)
	return nil
}

// before runs before each command, and reports whether it has been dealt with.
func (n *embeddedNode) before(c *server.Peer, cmd string, args ...string) bool {
	n.mu.Lock()
	gate := n.gate
	n.mu.Unlock()
	if gate != nil {
		<-gate
	}
	n.mu.Lock()
	dead := n.dead
	n.mu.Unlock()
	if dead {
		return true
	}
	if cmd == "INFO" && len(args) == 1 && strings.EqualFold(args[0], "server") {
		// miniredis has no such section, and scripts may ask for the uptime.
		c.WriteBulk(fmt.Sprintf("# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n"+
			"run_id:%s\r\ntcp_port:%d\r\nuptime_in_seconds:%d\r\n",
			n.spec.ident, n.spec.port, int(time.Since(n.since).Seconds())))
		return true
	}
	return false
}

func (n *embeddedNode) ended(context.Context) error { return nil }

func (n *embeddedNode) pause(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gate = make(chan struct{})
	return nil
}

func (n *embeddedNode) resume(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open()
	return nil
}

// open lets the commands that wait go on.
func (n *embeddedNode) open() {
	if n.gate != nil {
		close(n.gate)
		n.gate = nil
	}
}

func (n *embeddedNode) kill(context.Context) error {
	n.mu.Lock()
	n.dead = true // what waits, and what comes after it, is never answered
	n.open()
	n.mu.Unlock()
	n.redis.Close() // waits for running commands
	return nil
}

func (n *embeddedNode) restart(_ context.Context, empty bool) error {
	if empty || !n.spec.appendOnly {
		fresh := miniredis.NewMiniRedis()
		fresh.ClockTTL(true)
		n.redis = fresh
	}
	return n.listen()
}

func (n *embeddedNode) remove() error { return n.kill(context.Background()) }
