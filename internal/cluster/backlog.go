package cluster

import (
	"container/heap"
	"time"

	"github.com/redlatch/redlatch/internal/random"
)

// While a node fails, an extension is tried there every probePause, or in half a round
// trip where that is longer, for all leases together. Of a node that hangs, the probes
// that are under way are not many more than maxProbes.
const (
	probePause = 2 * time.Millisecond
	maxProbes  = 16
)

// backlog is what waits to be sent to a node, beside attempts. Its fields belong to Node.mu.
//
// Extensions come first, those with the nearest deadline first of all; while the node fails
// one goes at a time, and all when there is an answer. The rest, what is given back, goes in
// the order of arrival. A node over the cap of abandoned calls refuses everything at once,
// so nothing waits for it.
type backlog struct {
	sent   int // jobs under way
	probes int // extensions under way that were sent while the node failed
	nearby bool
	probe  time.Time // when the next one may be sent
	soon   extensions
	rest   []func()
	timer  *time.Timer
}

// An extension is one that waits, of an extender on its i-th node.
type extension struct {
	by time.Time // the lease's deadline when it came
	of extender
	i  int
}

// An extender is a hold.
type extender interface {
	// IsOver reports whether there is nothing to extend any more.
	IsOver() bool
	// ExtendNow extends on the i-th node, and calls [Node.SentOne] with probe.
	ExtendNow(i int, probe bool)
}

// extensions is a heap.
type extensions []extension

func (e extensions) Len() int           { return len(e) }
func (e extensions) Less(i, j int) bool { return e[i].by.Before(e[j].by) }
func (e extensions) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *extensions) Push(x any)        { *e = append(*e, x.(extension)) }
func (e *extensions) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = extension{}
	*e = (*e)[:last]
	return x
}

// Send runs job, which must end with [Node.SentOne], in a goroutine of its own. Where there
// is no room it returns false, and job is for [Node.SendLater].
func (n *Node) Send(job func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.backlog.sent < maxUnderWay || n.tooMany(time.Now()) {
		n.backlog.sent++
		go job()
		return true
	}
	return false
}

// SendLater runs a job of [Node.Send] when there is room.
func (n *Node) SendLater(job func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.backlog.rest = append(n.backlog.rest, job)
	n.sendWaiting()
}

// SendExtension is [Node.Send] for an extension, of a lease that ends by then if nothing else comes.
func (n *Node) SendExtension(by time.Time, of extender, i int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	heap.Push(&n.backlog.soon, extension{by, of, i})
	n.sendWaiting()
}

// SentOne counts a job out; probe: one that was sent while the node failed.
func (n *Node) SentOne(probe bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.backlog.sent--
	if probe {
		n.backlog.probes--
	}
	n.sendWaiting()
}

// sendWaiting sends what may go.
func (n *Node) sendWaiting() {
	b := &n.backlog
	if len(b.soon)+len(b.rest) == 0 {
		return
	}
	now := time.Now()
	for b.sent < maxUnderWay || n.tooMany(now) {
		failing := n.Failing.Load()
		if e, ok := n.next(failing, now); ok {
			b.sent++
			if failing {
				b.probes++
			}
			go e.of.ExtendNow(e.i, failing)
		} else if len(b.rest) > 0 {
			job := b.rest[0]
			b.rest[0] = nil
			b.rest = b.rest[1:]
			b.sent++
			go job()
		} else {
			break
		}
	}
	n.arm(now)
}

// next takes the extension out that is to be sent, if one may be. Where only some of the
// node's keys fail, as in a cluster, the nearest deadlines may be those that fail: so every
// other probe is any one.
func (n *Node) next(failing bool, now time.Time) (extension, bool) {
	b := &n.backlog
	for len(b.soon) > 0 && b.soon[0].of.IsOver() {
		heap.Pop(&b.soon)
	}
	switch {
	case len(b.soon) == 0, failing && now.Before(b.probe):
		return extension{}, false
	case failing:
		b.probe = now.Add(random.Around(n.probePause()))
		if b.nearby = !b.nearby; !b.nearby {
			return heap.Remove(&b.soon, int(random.Below(time.Duration(len(b.soon))))).(extension), true
		}
	}
	return heap.Pop(&b.soon).(extension), true
}

// probePause is the time from one probe of a failing node to the next.
func (n *Node) probePause() time.Duration {
	if n.backlog.probes >= maxProbes {
		return max(n.LeastPause(), n.Set.Window/maxProbes)
	}
	return n.LeastPause()
}

// LeastPause is the shortest pause before something that has failed is tried again: so
// short that a node that is back for two round trips is met.
func (n *Node) LeastPause() time.Duration {
	return max(probePause, n.RoundTrip()/2)
}

// arm sets the timer for what waits: until the next probe, or until it is worth looking
// whether the calls under way have been abandoned.
func (n *Node) arm(now time.Time) {
	b := &n.backlog
	if len(b.soon)+len(b.rest) == 0 {
		return
	}
	d := n.patience()
	if b.sent < maxUnderWay && len(b.soon) > 0 && n.Failing.Load() {
		d = min(d, max(b.probe.Sub(now), 0))
	}
	if b.timer != nil {
		b.timer.Reset(d)
		return
	}
	b.timer = time.AfterFunc(d, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.sendWaiting()
	})
}
