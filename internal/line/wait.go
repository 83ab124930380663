package line

import (
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/failure"
	"github.com/redlatch/redlatch/internal/hold"
	"github.com/redlatch/redlatch/internal/random"
)

// acquire attempts until the lock is held or the call ends. The first attempt is made
// without a ticket: a free lock costs nothing more. After a refusal the waiter stands
// in the queue on the lead, sleeps until it is called, and asks by itself now and then
// in case the call was missed. Where others were refused a moment ago it stands in the
// queue from the start.
func (w *waiter) acquire() (*core.Lease, hold.Outcome) {
	l := w.lock
	var answered bool                          // by a majority, once: nodes that fail from now on are ridden out
	var leads int                              // that were given up one after the other
	var late bool                              // the last attempt was one that is made again at once
	if w.Ticket == nil && l.group.crowded(l) { // it may have inherited one
		w.queue()
	}
	for {
		lease, o := l.Attempt(w.ctx, &w.Caller)
		if o.Untold && w.unheard && len(w.wake) == 0 {
			l.Nodes[o.Lead].Listener.Deaf()
		}
		answered = answered || o.Answered
		switch {
		case lease != nil || o.Verdict == hold.Final && !o.Recent:
			return lease, o
		case w.ctx.Err() != nil:
			if o = w.interrupted(o); o.Verdict != hold.Final {
				w.note(o) // for those behind, whose contexts may end with this one
			}
			return nil, o
		case (o.Late || failure.Has(o.Err, "MOVED")) && !late:
			// This process may have been suspended, or a cluster's client have spent its
			// retries on a slot that was moved in the end. Twice in a row, the way is too long,
			// or the client is not made for a cluster.
			late = true
			continue
		case o.Late, o.Verdict == hold.Outage && !answered:
			return nil, o
		}
		late = false
		w.note(o)
		if w.Ticket == nil {
			l.group.crowd(l)
			w.queue()
			continue
		}
		if o.Place < 0 && l.Lead() != o.Lead && leads < len(l.Nodes)-1 {
			leads++ // the lead turned out to be failing: stand in the next one's line
			continue
		}
		leads = 0
		if !w.sleep(o) {
			if l.Set.IsClosed() {
				o = hold.Ended(l.ClosedError())
			}
			o.Granted = nil // an undo is under way: the ticket is withdrawn everywhere
			return nil, o
		}
	}
}

// queue gives the waiter a ticket.
func (w *waiter) queue() {
	g := w.lock.group
	w.Ticket, w.wake = hold.NewTicket(), make(chan struct{}, 1)
	g.mu.Lock()
	g.tickets[w.Ticket.ID] = w
	g.mu.Unlock()
}

// sleep waits until the ticket is called or it is time to ask; false: the call has to end.
func (w *waiter) sleep(o hold.Outcome) bool {
	l := w.lock
	lead := l.Nodes[l.Lead()]
	if o.Place >= 0 {
		w.Ticket.Placed(lead, o.Place)
	}
	low, high := l.Set.Opt.MinBusyWait, l.Set.Opt.MaxBusyWait
	d := low + random.Below(high-low+1)
	if o.Place >= 0 {
		d = time.Duration(float64(d) * hold.Stretch(o.Place, lead.Listener.Live.Load()))
	}
	if o.Place <= 0 && o.Left >= 0 {
		d = min(d, o.Left+time.Millisecond)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	w.Called, w.unheard = false, false
	select {
	case <-w.wake:
		w.Called = true
	case <-timer.C:
		w.unheard = true
	case <-w.ctx.Done():
		return false
	case <-l.Set.Done:
		return false
	}
	return true
}
