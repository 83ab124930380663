package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// chaos lets machines fail, one fault after another, until ctx ends, then waits
// for those under way to pass. killed is called for each client that was
// killed.
type chaos struct {
	plan    Plan
	cluster *Cluster
	rng     *rand.Rand
	killed  func(*Client)

	wg      sync.WaitGroup
	stepped map[*Node]time.Duration // back, in all
	out     atomic.Int64            // nodes that are down or paused
	err     error                   // of the first node that did not come back
}

func (w *chaos) run(ctx context.Context) error {
	// These are up to the callers.
	kinds := slices.DeleteFunc(slices.Clone(w.plan.Weather), func(f Fault) bool { return f == Cancelled || f == Closed })
	for len(kinds) > 0 && wait(ctx, w.between(0, 2*w.plan.Every), nil) == nil {
		w.strike(kinds[w.rng.IntN(len(kinds))])
	}
	w.wg.Wait()
	return w.err
}

func (w *chaos) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rng.Int64N(int64(hi-lo)+1))
}

func (w *chaos) node() *Node { return w.cluster.Nodes[w.rng.IntN(len(w.cluster.Nodes))] }

// later does something when d has passed.
func (w *chaos) later(d time.Duration, do func()) {
	w.wg.Go(func() {
		time.Sleep(d)
		do()
	})
}

func (w *chaos) strike(f Fault) {
	expiry := w.plan.Expiry
	switch f {
	case LinkCut:
		clients := w.cluster.alive()
		l := clients[w.rng.IntN(len(clients))].Link(w.rng.IntN(len(w.cluster.Nodes)))
		l.Cut(true)
		w.later(w.between(expiry/20, 2*expiry), func() { l.Cut(false) })
	case NodePaused:
		if n := w.node(); w.takeOut() {
			n.Pause()
			w.later(w.between(expiry/100, 2*expiry), func() { n.Resume(); w.out.Add(-1) })
		}
	case NodeCrashed:
		w.crash(KeepAll, w.between(expiry/100, expiry))
	case NodeLostLast:
		w.crash(KeepMost, w.away())
	case NodeLostAll:
		w.crash(KeepNone, w.away())
	case NodeStepped:
		w.step(w.node())
	case NodeRate:
		rate := 0.992 + 0.016*w.rng.Float64()
		if w.plan.Broken == ClockTooFast {
			rate = 1.05 + 0.15*w.rng.Float64()
		}
		w.node().SetRate(rate)
	case OutOfMemory, DiskFailed, ServerBusy, NodeDemoted, Unauthorized, SlotOpen:
		w.trouble(f)
	case PushDeaf:
		w.later(w.between(expiry/10, 2*expiry), w.node().Deafen())
	case StaleConn:
		i, calls := w.rng.IntN(len(w.cluster.Nodes)), 1+w.rng.IntN(16)
		for _, cl := range w.cluster.alive() {
			cl.Link(i).Stale(calls)
		}
	case HoldEvicted, MetaEvicted, QueueEvicted, TicketsEvicted, SlotsEvicted:
		w.evict(f)
	case ClientPaused:
		clients := w.cluster.alive()
		cl := clients[w.rng.IntN(len(clients))]
		cl.Pause(w.plan.Stall)
		w.later(w.between(expiry/100, 2*expiry), cl.Resume)
	case ClientKilled:
		clients := w.cluster.alive()
		cl := clients[w.rng.IntN(len(clients))]
		cl.Kill()
		w.killed(cl)
	case ClientStepped:
		clients := w.cluster.alive()
		clients[w.rng.IntN(len(clients))].Step(w.between(-3*time.Hour, 3*time.Hour))
	}
}

// trouble makes a node refuse for a while.
func (w *chaos) trouble(f Fault) {
	n, lasts := w.node(), w.between(w.plan.Expiry/100, 2*w.plan.Expiry)
	if !w.takeOut() {
		return
	}
	began := n.Trouble(f)
	w.later(lasts, func() {
		if began {
			n.Relieve(f)
		}
		w.out.Add(-1)
	})
}

// evict lets a key vanish as soon as there is one that may.
func (w *chaos) evict(f Fault) {
	const tries = 50
	w.wg.Go(func() {
		for range tries {
			if w.cluster.Evict(f, w.plan.Broken != None) {
				return
			}
			time.Sleep(w.plan.Every / tries)
		}
	})
}

// step moves a node's clock: back, by a minute in all, unless the plan says
// otherwise.
func (w *chaos) step(n *Node) {
	switch w.plan.Broken {
	case ClockForward:
		n.Step(w.between(w.plan.Expiry/4, 2*w.plan.Expiry))
	case ClockFarBack:
		n.Step(-w.between(10*time.Minute, 20*time.Minute))
	default:
		if d := w.between(time.Millisecond, 20*time.Second); w.stepped[n]+d <= time.Minute {
			w.stepped[n] += d
			n.Step(-d)
		}
	}
}

// away is how long a node that has lost data stays away: longer than the longest
// lease, and than any token can be ahead of the clock, unless there is a guard.
func (w *chaos) away() time.Duration {
	if w.plan.Guard > 0 || w.plan.Broken == ReturnAtOnce {
		return w.between(10*time.Millisecond, w.plan.Expiry/2)
	}
	least := w.plan.Expiry + w.plan.Expiry/50 + 8*time.Second
	return w.between(least, 2*least)
}

// takeOut counts one more node as out, unless as many are as may be.
func (w *chaos) takeOut() bool {
	if w.out.Load() >= int64(w.plan.Out) {
		return false
	}
	w.out.Add(1)
	return true
}

func (w *chaos) crash(keep Keep, away time.Duration) {
	n := w.node()
	if n.Down() || !w.takeOut() {
		return
	}
	if err := n.Crash(keep); err != nil && w.err == nil {
		w.err = fmt.Errorf("node %d: %w", n.Index, err)
	}
	loading := time.Duration(0)
	if w.rng.IntN(2) == 0 {
		loading = w.between(0, 2*time.Second)
	}
	w.later(away, func() { n.Restart(loading); w.out.Add(-1) })
}
