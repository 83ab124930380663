package sim

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// An answer is what a call came to.
type answer struct {
	reply []int64
	err   error
	epoch int // of the node when it answered
}

// A Node is one Redis server: a miniredis called in process, on a clock of its
// own. Its methods are safe for concurrent use.
type Node struct {
	Index int
	Clock *Clock

	dice  Dice
	stats *Stats

	mu        sync.Mutex
	redis     *miniredis.Miniredis
	lua       *interpreter
	buf       bytes.Buffer
	peer      *server.Peer
	synced    time.Time // the node's time up to which its TTLs have run
	started   time.Time // the node's time of its last start
	down      bool
	epoch     int            // counts the starts: connections do not outlive one
	resumed   chan struct{}  // closed while the node is not paused
	loading   time.Time      // the bubble's time until which it answers LOADING
	troubles  map[Fault]bool // that it is in, and whether they have met something
	moved     bool           // the call that runs is served where the slot is being moved to
	published []message      // by the command that runs
	subs      map[string][]*subscription
	snapshots *snapshots // nil if the run never asks for one
}

// A message is what a script published.
type message struct {
	channel, payload string
}

// newNode starts an empty node.
func newNode(index int, dice Dice, stats *Stats, clock *Clock) (*Node, error) {
	n := &Node{Index: index, Clock: clock, dice: dice, stats: stats, subs: map[string][]*subscription{}, troubles: map[Fault]bool{}}
	n.resumed = make(chan struct{})
	close(n.resumed)
	n.started = clock.Now()
	if err := n.boot(); err != nil {
		return nil, err
	}
	return n, nil
}

// boot makes a fresh, empty server.
func (n *Node) boot() error {
	m := miniredis.NewMiniRedis()
	// Dial starts the server without a listener.
	conn, err := m.Dial()
	if err != nil {
		return fmt.Errorf("sim: start node %d: %w", n.Index, err)
	}
	conn.Close()
	m.Server().SetPreHook(n.hook)
	if n.lua != nil {
		n.lua.close()
	}
	if err := learnCommands(m.Server()); err != nil {
		return err
	}
	if n.lua, err = newInterpreter(m.Server(), n.refuseCommand); err != nil {
		return err
	}
	n.buf.Reset()
	n.peer = server.NewPeer(bufio.NewWriter(&n.buf))
	n.redis = m
	n.synced = n.Clock.Now()
	m.SetTime(n.synced)
	return nil
}

// close frees the server.
func (n *Node) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.redis.Close()
	n.lua.close()
}

// hook serves what miniredis would send to sockets or does not know. It is
// called for commands within scripts too, always with n.mu held.
func (n *Node) hook(p *server.Peer, cmd string, args ...string) bool {
	switch {
	case cmd == "PUBLISH" && len(args) == 2:
		n.published = append(n.published, message{args[0], args[1]})
		p.WriteInt(len(n.subs[args[0]]))
		return true
	case cmd == "INFO" && len(args) == 1 && strings.EqualFold(args[0], "server"):
		// As Redis does it: the difference of two times in whole seconds.
		up := n.synced.Unix() - n.started.Unix()
		p.WriteBulk(fmt.Sprintf("# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:%d\r\nuptime_in_days:%d\r\n", up, up/86400))
		return true
	}
	return false
}

// sync lets the node's time pass up to now.
func (n *Node) sync() {
	now := n.Clock.Now()
	if elapsed := now.Sub(n.synced); elapsed != 0 {
		n.redis.FastForward(elapsed) // a negative one, after a step back, lengthens TTLs as Redis does
		n.redis.SetTime(now)
		n.synced = now
	}
}

// epochNow is the connection that a call made now would use; ok is false if
// the node cannot be reached.
func (n *Node) epochNow() (epoch int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.epoch, !n.down
}

// do executes a command that arrives on the connection of an epoch. A paused
// node executes it when it goes on, whether or not anybody still waits for it.
// d tells apart calls that become due at one instant.
func (n *Node) do(d Dice, epoch int, args []string) answer {
	for {
		n.mu.Lock()
		if n.down || n.epoch != epoch {
			n.mu.Unlock()
			return answer{err: errReset}
		}
		select {
		case <-n.resumed:
			defer n.mu.Unlock()
			return n.serve(args)
		default:
		}
		resumed := n.resumed
		n.mu.Unlock()
		<-resumed
		time.Sleep(d.Named("resumed").Between(0, stagger))
	}
}

// serve runs a command and hands on what it published, n.mu held.
func (n *Node) serve(args []string) answer {
	if time.Now().Before(n.loading) {
		return answer{err: replyError(passing[0])}
	}
	n.sync()
	if text := n.refuseCall(args); text != "" {
		return answer{err: replyError(text)}
	}
	if n.snapshots != nil {
		n.snapshots.maybe(n.redis, n.synced)
	}
	a := n.lua.run(args)
	a.epoch = n.epoch
	n.stats.Scripts.Add(1)
	for _, m := range n.published {
		n.stats.Published.Add(1)
		for _, s := range n.subs[m.channel] {
			s.push(m.payload)
		}
	}
	n.published = n.published[:0]
	return a
}

// Run runs EVAL or EVALSHA on the node at once, past all faults, and returns the
// integers that it replies with.
func (n *Node) Run(args ...string) ([]int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.serve(args)
	return a.reply, a.err
}

// Command runs one command on the node at once, past all faults, for tests and
// for looking at what a run left behind. The reply is an integer, a string, nil
// or a slice of these.
func (n *Node) Command(args ...string) (any, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sync()
	n.buf.Reset()
	n.redis.Server().Dispatch(n.peer, args)
	n.peer.Flush()
	n.published = n.published[:0]
	return server.ParseReply(bufio.NewReader(&n.buf))
}
