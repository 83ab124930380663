package hold

import (
	"errors"
	"time"

	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/protocol"
)

// errRemains is the failure of a node that refused, while what this process is removing
// from it may be why.
var errRemains = errors.New("it refused, but has not confirmed the removal of what this process held there before")

// askPastRemains is ask for a script that creates the hold where the place is free. Where
// it meets remains, it is sent again when they have gone, once: what refuses it then was
// there during this call. If they have not gone after as long as answers take where a machine
// has much to do, the answer is errRemains.
//
// A hold that is over when its call is answered waits for nothing: its own removal may be
// among those that the call has met, and waits for this call. The removal of a hold that
// waits has a later number than those waited for, so no two wait for each other.
func (h *Hold) askPastRemains(ctx *cluster.CallContext, i int, sc *protocol.Script, args []string) (protocol.Reply, error) {
	n, lock := h.lock.Nodes[i], h.lock.LineKey()
	met := n.Remains.Latest(lock)
	reply, err := h.lock.ask(ctx, i, sc, h.lock.keys, args)
	switch {
	case met == 0, err != nil, h.IsOver():
		return reply, err
	case reply.Status() != protocol.Refused && reply.Status() != protocol.OtherLimit: // which may bind no longer
		return reply, nil
	}
	if !n.Remains.Await(ctx, lock, met, h.lock.patience(busy)) {
		return nil, errRemains
	}
	if h.IsOver() {
		return reply, nil
	}
	h.mu.Lock()
	h.last = time.Now()
	h.mu.Unlock()
	return h.lock.ask(ctx, i, sc, h.lock.keys, args)
}

// leaves notes that what may stand on the i-th node is being removed.
func (h *Hold) leaves(i int) { h.lock.Nodes[i].Remains.Begin(h.lock.LineKey(), &h.shares[i].removal) }

// hasLeft notes that it has been removed, or that nothing is sent for that any more.
func (h *Hold) hasLeft(i int) { h.lock.Nodes[i].Remains.End(h.lock.LineKey(), &h.shares[i].removal) }
