package hold

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/protocol"
	"github.com/redlatch/redlatch/internal/random"
)

// A Caller is what an attempt knows of a call that waits.
type Caller struct {
	Ticket *Ticket              // nil: none so far, or none any more
	Called bool                 // the ticket was, and others wait until its waiter comes
	Latest atomic.Pointer[Hold] // of its attempts
}

// A Ticket is the place of a waiter in the lines of the nodes. It stands in the line of each
// node to which an attempt has taken it, and ends everywhere when it is withdrawn: by the
// grant that takes it out of the lead's line, and on the others by a call. Who inherits the
// wait inherits the ticket. It belongs to the call at the front of the local line.
type Ticket struct {
	ID   string
	at   map[*cluster.Node]int // the nodes that were given it, and its place there
	gone atomic.Bool           // it has been withdrawn: a call under way may still put it back
}

// NewTicket returns a ticket that stands nowhere so far.
func NewTicket() *Ticket { return &Ticket{ID: random.ID(), at: map[*cluster.Node]int{}} }

// stood reports whether the ticket has had a place in the node's line.
func (t *Ticket) stood(n *cluster.Node) bool {
	place, known := t.at[n]
	return known && place < nowhere
}

// Placed notes the ticket's place in the node's line, if the node was given it.
func (t *Ticket) Placed(n *cluster.Node, place int) {
	if _, known := t.at[n]; known {
		t.at[n] = place
	}
}

// nowhere is the place of a waiter that has not been told of one yet.
const nowhere = 1 << 20

// Stretch says how many times as long as the first two a waiter sleeps whose place in
// line is p: those further back rely on being called.
func Stretch(p int, live bool) float64 {
	if !live || p < 2 {
		return 1
	}
	return min(1+float64(p)/4, 8)
}

// stand returns what the acquire script needs to put the waiter in line on a node: the
// ticket, how long it is kept without news from the waiter, the time the waiter has to
// come when called, and the channel to call it on.
func (t *Ticket) stand(ctx context.Context, n *cluster.Node) *protocol.Place {
	set := n.Set
	place, known := t.at[n]
	if !known {
		place = nowhere
		t.at[n] = place
		n.Listener.Listen()
	}
	live := n.Listener.Live.Load()
	poll := time.Duration(float64(set.Opt.MaxBusyWait) * Stretch(place, live))

	lease := max(3*poll, 5*time.Second)
	if deadline, ok := ctx.Deadline(); ok {
		lease = min(lease, max(time.Until(deadline), time.Millisecond))
	}
	allowance := 3 * n.RoundTrip()
	if !live {
		allowance += set.Opt.MaxBusyWait
	}
	allowance = min(max(allowance, 100*time.Millisecond), set.Opt.MaxBusyWait+time.Second)
	return &protocol.Place{Ticket: t.ID, Lease: cluster.Millis(lease), Allowance: cluster.Millis(allowance), Channel: set.Channel()}
}

// Withdraw takes the ticket out of the lines, in the background, but for the node by
// which it was granted. It is a hold that is over and has nothing but a ticket.
func (l *Target) Withdraw(ctx context.Context, t *Ticket, by *cluster.Node) {
	t.gone.Store(true)
	h := newHold(l, ctx)
	h.ticket, h.last = t, time.Now()
	for i, n := range l.Nodes {
		if _, stood := t.at[n]; stood {
			n.Listener.Unlisten()
			h.shares[i].stands = n != by
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.finish(nil)
	h.clearAll()
}
