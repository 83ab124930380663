package quorum

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/claim"
	"github.com/redlatch/redlatch/internal/random"
)

// acquire attempts until the lock is held or the call ends. The first attempt is made
// without a ticket: a free lock costs nothing more. After a refusal the waiter stands
// in the queue on the lead, sleeps until it is called, and asks by itself now and then
// in case the call was missed. Where others were refused a moment ago it stands in the
// queue from the start.
func (w *waiter) acquire() (*core.Lease, outcome) {
	l := w.lock
	var answered bool // by a majority, once: nodes that fail from now on are ridden out
	var leads int     // that were given up one after the other
	var last error
	var late bool                           // a majority has granted too late
	if w.ticket == "" && l.set.crowded(l) { // it may have inherited one
		w.queue()
	}
	for {
		lease, o := l.attempt(w.ctx, w)
		answered = answered || o.answered
		switch {
		case lease != nil, errors.Is(o.err, core.ErrClosed):
			return lease, o
		case w.ctx.Err() != nil:
			if !answered {
				last = o.err // nobody said that others have it
			}
			return nil, outcome{err: l.ended(w.ctx, last)}
		case o.refused:
			last, late = nil, false
		case answered && (errors.Is(o.err, core.ErrNotAcquired) || o.passing):
			last, late = o.err, false
		case errors.Is(o.err, errTooLate) && !late:
			// This process may have been suspended. Twice in a row, the way is too long.
			late = true
			continue
		default:
			return nil, o
		}
		if w.ticket == "" {
			l.set.crowd(l)
			w.queue()
			continue
		}
		if errors.Is(o.err, core.ErrNotAcquired) && o.place < 0 && l.lead() != o.lead && leads < len(l.nodes)-1 {
			leads++ // the lead turned out to be failing: stand in the next one's line
			continue
		}
		leads = 0
		switch err := w.sleep(o); {
		case err == nil:
		case w.ctx.Err() != nil:
			return nil, outcome{err: l.ended(w.ctx, last)}
		default:
			return nil, outcome{err: err}
		}
	}
}

// queue gives the waiter a ticket.
func (w *waiter) queue() {
	s := w.lock.set
	w.ticket, w.at, w.gone, w.wake = random.ID(), map[*node]int{}, new(atomic.Bool), make(chan struct{}, 1)
	s.mu.Lock()
	s.tickets[w.ticket] = w
	s.mu.Unlock()
}

// sleep waits until the ticket is called or it is time to ask.
func (w *waiter) sleep(o outcome) error {
	l := w.lock
	lead := l.nodes[l.lead()]
	if _, ok := w.at[lead]; ok && o.place >= 0 {
		w.at[lead] = o.place
	}
	low, high := l.set.opt.MinBusyWait, l.set.opt.MaxBusyWait
	d := low + random.Below(high-low+1)
	if o.place >= 0 {
		d = time.Duration(float64(d) * stretch(o.place, lead.listener.live.Load()))
	}
	if o.place <= 0 && o.left > 0 {
		d = min(d, o.left+time.Millisecond)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-timer.C:
	case <-w.ctx.Done():
		return w.ctx.Err()
	case <-l.set.done:
		return l.closedError()
	}
	return nil
}

// stretch says how many times as long as the first two a waiter sleeps whose place in
// line is p: those further back rely on being called.
func stretch(p int, live bool) float64 {
	if !live || p < 2 {
		return 1
	}
	return min(1+float64(p)/4, 8)
}

// stand returns what the acquire script needs to put the waiter in line on a node: the
// ticket, how long it is kept without news from the waiter, the time the waiter has to
// come when called, and the channel to call it on.
func (w *waiter) stand(n *node) []string {
	set := w.lock.set
	place, known := w.at[n]
	if !known {
		place = 1 << 20
		w.at[n] = place
		n.listener.listen()
	}
	live := n.listener.live.Load()
	poll := time.Duration(float64(set.opt.MaxBusyWait) * stretch(place, live))

	lease := max(3*poll, 5*time.Second)
	if deadline, ok := w.ctx.Deadline(); ok {
		lease = min(lease, max(time.Until(deadline), time.Millisecond))
	}
	allowance := 3 * time.Duration(n.rtt.Load())
	if !live {
		allowance += set.opt.MaxBusyWait
	}
	allowance = min(max(allowance, 100*time.Millisecond), set.opt.MaxBusyWait+time.Second)
	return []string{w.ticket, millis(lease), millis(allowance), set.channel()}
}

// withdraw takes the ticket out of the queues, in the background, but for the node by
// which it was granted.
func (w *waiter) withdraw(by *node) {
	set := w.lock.set
	w.gone.Store(true)
	for n := range w.at {
		n.listener.unlisten()
	}
	ctx := &callContext{set.limit.from(time.Now(), set.window), claim.Values{Of: w.ctx}, w.gone}
	for n := range w.at {
		if n == by {
			continue
		}
		set.begun()
		go func() {
			defer set.ended()
			args := []string{w.ticket, w.lock.Param, set.expiry, set.keep, "0", w.ticket, ""}
			_, _ = n.run(ctx, w.lock.Kind.Release, w.lock.keys, args)
		}()
	}
}

// channel is where this process's waiters are called: one for a set of nodes.
func (s *Set) channel() string { return s.opt.KeyPrefix + "redlatch:" + s.id }
