package hold

import (
	"strconv"

	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/protocol"
)

// proposal returns the token that an acquire script is to mint, as it takes it.
func (l *Target) proposal() string {
	if !l.Fenced {
		return "0"
	}
	return strconv.FormatInt(l.Set.Proposal(), 10)
}

// tokenArg returns the token that other scripts are to keep up.
func (h *Hold) tokenArg() string { return strconv.FormatInt(h.token, 10) }

// call is what every script is told, with a token to mint or to keep up.
func (h *Hold) call(token string) protocol.Call { return h.lock.call(h.owner, token) }

func (l *Target) call(owner, token string) protocol.Call {
	return protocol.Call{Owner: owner, Param: l.Param, Expiry: l.Set.Expiry, Keep: l.Set.Keep, Fencing: token}
}

// ask runs a script whose answer may count on the i-th node.
func (l *Target) ask(ctx *cluster.CallContext, i int, s *protocol.Script, keys, args []string) (protocol.Reply, error) {
	if len(l.Nodes) == 1 {
		return l.Nodes[i].Run(ctx, s, keys, args)
	}
	return l.Nodes[i].RunVerified(ctx, s, keys, args)
}

// create sends, in a goroutine of its own, a script that may create the hold, and
// hands the answer to answered. If the claim is over by then, the hold is removed
// again.
func (h *Hold) create(ctx *cluster.CallContext, i int, sc *protocol.Script, args []string, answered func(h *Hold, i int, t0 cluster.Instant, reply protocol.Reply, err error)) {
	s := &h.shares[i]
	s.pending++
	s.stands = true
	t0 := h.lock.Set.Now()
	h.last = t0.Mono
	h.lock.Set.Begun()
	go func() {
		growStack()
		defer h.lock.Set.Ended()
		reply, err := h.askPastRemains(ctx, i, sc, args)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.check() // the answer to a claim that has ended must not revive it
		s.pending--
		if (err == cluster.ErrBusy || err == errRemains) && s.pending == 0 {
			s.stands = false
		}
		answered(h, i, t0, reply, err)
		if h.phase == over && (s.stands || h.withdrawn()) {
			h.clear(i)
		} else if h.phase == over {
			h.hasLeft(i)
		}
		h.signal()
	}()
}

// roomIndex is a variable so that the compiler cannot do without the room.
var roomIndex int

// growStack makes a new goroutine's stack as large as clients need, while there is
// nothing on it to copy. Without it the runtime grows it in the depth of the client,
// which took a fifth of the time of a call.
//
//go:noinline
func growStack() byte {
	var room [8 << 10]byte
	return room[roomIndex]
}
