package sim

import "time"

// Keep says what survives a crash.
type Keep int

const (
	KeepAll  Keep = iota // appendonly, synced: every answered write
	KeepMost             // appendonly everysec on a machine that failed: up to one second is lost
	KeepNone             // no persistence
)

// Pause stops the node: it accepts commands and executes them when it goes on.
func (n *Node) Pause() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.resumed:
		n.resumed = make(chan struct{})
		n.stats.Count(NodePaused)
	default:
	}
}

// Resume lets a paused node go on.
func (n *Node) Resume() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.resumeLocked()
}

func (n *Node) resumeLocked() {
	select {
	case <-n.resumed:
	default:
		close(n.resumed)
	}
}

// Crash ends the node: connections break, new ones are refused. What it will
// keep is decided here, since it is what has reached its disk by now.
func (n *Node) Crash(keep Keep) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil
	}
	n.down = true
	n.epoch++
	n.resumeLocked()
	for _, subs := range n.subs {
		for _, s := range subs {
			s.breakOff()
		}
	}
	n.subs = map[string][]*subscription{}

	n.sync()
	var kept *snapshot
	switch keep {
	case KeepAll:
		n.stats.Count(NodeCrashed)
		kept = takeSnapshot(n.redis, n.synced)
	case KeepMost:
		n.stats.Count(NodeLostLast)
		kept = n.snapshots.before(n.redis, n.synced)
	case KeepNone:
		n.stats.Count(NodeLostAll)
		kept = &snapshot{}
	}
	n.redis.Close()
	if err := n.boot(); err != nil {
		return err
	}
	if n.snapshots != nil {
		n.snapshots.forget()
	}
	return kept.restore(n.redis, n.synced)
}

// Restart brings a crashed node back; it answers LOADING for the given time.
// TTLs ran on while it was down, as they are moments on the node's clock.
func (n *Node) Restart(loading time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.down {
		return
	}
	n.down = false
	n.started = n.Clock.Now()
	n.loading = time.Now().Add(loading)
}

// Down tells whether the node has crashed and not come back.
func (n *Node) Down() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.down
}

// Step moves the node's clock by d at once.
func (n *Node) Step(d time.Duration) {
	n.stats.Count(NodeStepped)
	n.Clock.Step(d)
}

// SetRate makes the node's clock run slow or fast from now on.
func (n *Node) SetRate(rate float64) {
	n.stats.Count(NodeRate)
	n.Clock.SetRate(rate)
}
