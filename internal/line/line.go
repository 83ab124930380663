package line

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/hold"
)

// maxTogether is how many readers at the front of a line go together.
const maxTogether = 128

// A Group is the node set of a provider, and who waits in this process for its locks.
type Group struct {
	set *cluster.Set

	mu      sync.Mutex // of all lines
	lines   map[string]*line
	crowds  map[string]time.Time // locks that somebody was refused, and when
	spare   *line                // an empty one, for the next lock that is asked for
	tickets map[string]*waiter
}

// NewGroup checks the nodes and the options.
func NewGroup(scripters []core.Scripter, opts *core.Options) (*Group, error) {
	set, err := cluster.New(scripters, opts)
	if err != nil {
		return nil, err
	}
	g := &Group{set: set, lines: map[string]*line{}, crowds: map[string]time.Time{}, tickets: map[string]*waiter{}}
	set.Hear, set.Ready = g.wake, g.wakeAll
	return g, nil
}

// Close ends waiting calls and releases every lease; see [cluster.Set.Close].
func (g *Group) Close() error { return g.set.Close() }

// line is the local queue for one lock: the goroutines of this process that wait for
// it, in the order in which they came. Only its front asks the nodes, so that a
// thousand goroutines cost what one does.
type line struct {
	waiters []*waiter
	last    *hold.Outcome // of the last attempt that was neither interrupted nor won; nil: none
}

// waiter is one waiting call. Until it is at the front its fields belong to Group.mu,
// from then on to its call.
type waiter struct {
	hold.Caller
	lock  *Lock
	ctx   context.Context
	began time.Time
	front bool
	turn  chan struct{} // closed when it comes to the front
	wake  chan struct{} // of capacity 1: its ticket was called

	unheard bool // the last sleep was ended by its timer
}

// join puts the call at the end of the line and returns when it is at the front. Until it
// has left again it counts as a call under way.
func (l *Lock) join(ctx context.Context) (*waiter, error) {
	w := &waiter{lock: l, ctx: ctx, began: time.Now()}
	g := l.group
	if !g.set.Enter() {
		return nil, l.ClosedError()
	}
	g.mu.Lock()
	ln := g.lines[l.LineKey()]
	if ln == nil {
		ln = g.spare
		if g.spare = nil; ln == nil {
			ln = &line{}
		}
		g.lines[l.LineKey()] = ln
	}
	ln.waiters = append(ln.waiters, w)
	ln.advance()
	if !w.front {
		w.turn = make(chan struct{})
	}
	g.mu.Unlock()
	if w.turn == nil {
		return w, nil
	}
	select {
	case <-w.turn:
		return w, nil
	case <-ctx.Done():
		o := w.behind()
		w.leave(false, nil)
		return nil, l.Says(ctx, o, time.Since(w.began))
	case <-g.set.Done:
		w.leave(false, nil)
		return nil, l.ClosedError()
	}
}

// advance lets the front go: one, or the readers up to the next writer.
func (ln *line) advance() {
	for i, w := range ln.waiters {
		if i > 0 && (i >= maxTogether || !w.lock.Shared || !ln.waiters[i-1].lock.Shared) {
			return
		}
		if !w.front {
			w.front = true
			if w.turn != nil {
				close(w.turn)
			}
		}
	}
}

// leave takes the call out of the line. The ticket of a call that got nothing goes to
// the one that comes to the front for it, with its place in the queues; else it is
// withdrawn from the nodes, but the one by which it was granted, which lets the next
// one in.
func (w *waiter) leave(holds bool, by *cluster.Node) {
	g, key := w.lock.group, w.lock.LineKey()
	g.mu.Lock()
	ln := g.lines[key]
	ln.waiters = slices.DeleteFunc(ln.waiters, func(o *waiter) bool { return o == w })
	if holds {
		ln.last = &hold.Outcome{Verdict: hold.Others, Left: -1, Place: -1} // for those behind
	}
	if len(ln.waiters) == 0 {
		delete(g.lines, key)
		ln.last = nil
		g.spare = ln
	}
	inherited := false
	if w.Ticket != nil {
		delete(g.tickets, w.Ticket.ID)
		if len(ln.waiters) > 0 && !ln.waiters[0].front && !holds {
			heir := ln.waiters[0]
			heir.Ticket, heir.wake = w.Ticket, make(chan struct{}, 1)
			g.tickets[w.Ticket.ID] = heir
			inherited = true
		}
	}
	if w.Ticket != nil && !inherited {
		w.lock.Withdraw(w.ctx, w.Ticket, by) // before the next one goes, which must know of these remains
	}
	ln.advance()
	g.mu.Unlock()
	g.set.Ended()
}

// note keeps the outcome of an attempt for those behind, and for the end of the wait.
func (w *waiter) note(o hold.Outcome) {
	g := w.lock.group
	g.mu.Lock()
	defer g.mu.Unlock()
	o.Granted = nil
	g.lines[w.lock.LineKey()].last = &o
}

// interrupted is the outcome of a wait that ends with the attempt under way: where that had
// hardly begun, the last one that came to an end decides.
func (w *waiter) interrupted(o hold.Outcome) hold.Outcome {
	g := w.lock.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if last := g.lines[w.lock.LineKey()].last; last != nil && o.Recent && o.Verdict != hold.Others {
		return *last
	}
	o.Granted = nil
	return o
}

// behind is the outcome for a call that leaves the line without having been at the front:
// that of the front.
func (w *waiter) behind() hold.Outcome {
	g, l := w.lock.group, w.lock
	g.mu.Lock()
	ln := g.lines[l.LineKey()]
	front, last := ln.waiters[0], ln.last
	g.mu.Unlock()
	if h := front.Latest.Load(); h != nil {
		if o, ok := h.Meets(); ok {
			return front.interrupted(o)
		}
	}
	if last != nil {
		return *last
	}
	return l.Unanswered(w.ctx) // the front has only just come there
}

// wake wakes the waiter whose ticket was called.
func (g *Group) wake(ticket string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w := g.tickets[ticket]; w != nil {
		w.rouse()
	}
}

// wakeAll wakes every waiter that has a ticket.
func (g *Group) wakeAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.tickets {
		w.rouse()
	}
}

func (w *waiter) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// A lock is crowded for crowdedFor after somebody was refused; so is noted of at most
// maxCrowded of them.
const (
	crowdedFor = time.Second
	maxCrowded = 1024
)

// crowd notes that somebody was refused the lock.
func (g *Group) crowd(l *Lock) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.crowds) >= maxCrowded {
		clear(g.crowds)
	}
	g.crowds[l.LineKey()] = time.Now()
}

// crowded reports whether the lock is.
func (g *Group) crowded(l *Lock) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, noted := g.crowds[l.LineKey()]
	if noted && time.Since(at) > crowdedFor {
		delete(g.crowds, l.LineKey())
		noted = false
	}
	return noted
}
