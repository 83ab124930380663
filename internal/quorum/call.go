package quorum

import (
	"strconv"

	"github.com/redlatch/redlatch/internal/script"
)

// proposal returns the token that an acquire script is to mint, as it takes it.
func (l *Lock) proposal() string {
	if !l.Fenced {
		return "0"
	}
	return strconv.FormatInt(l.set.proposal(), 10)
}

// tokenArg returns the token that other scripts are to keep up.
func (h *Hold) tokenArg() string { return strconv.FormatInt(h.token, 10) }

// args are the arguments that every script takes, and the verb's own.
func (h *Hold) args(token string, own []string) []string {
	set := h.lock.set
	args := append(make([]string, 0, 5+len(own)), h.owner, h.lock.Param, set.expiry, set.keep, token)
	return append(args, own...)
}

// ask runs a script whose answer may count on the i-th node, in the caller's
// goroutine: where the node is not verified, the answer is a failure.
func (h *Hold) ask(ctx *callContext, i int, s *script.Script, args []string) ([]int64, error) {
	n := h.lock.nodes[i]
	var p *probe
	if len(h.lock.nodes) > 1 {
		p = n.verify(ctx)
	}
	reply, err := n.run(ctx, s, h.lock.keys, args)
	if p != nil && err == nil {
		err = n.verdict(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// create sends, in a goroutine of its own, a script that may create the hold, and
// hands the answer to answered. If the claim is over by then, the hold is removed
// again.
func (h *Hold) create(ctx *callContext, i int, sc *script.Script, token string, own []string, answered func(h *Hold, i int, t0 instant, reply []int64, err error)) {
	s := &h.shares[i]
	s.pending++
	s.stands = true
	args := h.args(token, own)
	t0 := h.lock.set.clock.read()
	h.last = t0.mono
	h.lock.set.begun()
	go func() {
		growStack()
		defer h.lock.set.ended()
		reply, err := h.ask(ctx, i, sc, args)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.check() // the answer to a claim that has ended must not revive it
		s.pending--
		if err == errBusy && s.pending == 0 {
			s.stands = false
		}
		answered(h, i, t0, reply, err)
		if h.phase == over && (s.stands || h.withdrawn()) {
			h.clear(i)
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
