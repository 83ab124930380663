package linear_test

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// model is the sequential specification of one lock on one node.
var model = (&porcupine.NondeterministicModel{
	Init:  func() []any { return []any{state{}} },
	Equal: equal,
	Step: func(s, in, out any) []any {
		return step(s.(state), in.(call), out.(answer))
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprint(in, " -> ", out) },
}).ToModel()

func step(s state, c call, a answer) (next []any) {
	if a.unknown {
		next = append(next, s) // it may never have arrived
	} else if a.time() != 0 && a.time() < s.now {
		return nil
	}
	s = s.clone()
	w := s.at(a)
	for _, s := range s.lapse(c.kind, w) {
		t := turn{state: &s, call: c, answer: a, window: w}
		if t.run() || a.unknown {
			next = append(next, s)
		}
	}
	return next
}

// A turn is one call on a state whose holds all live.
type turn struct {
	*state
	call
	answer
	window
}

// run does the call and reports whether the answer is the right one.
func (t *turn) run() bool {
	mine := t.find(t.owner, t.read)
	switch t.verb {
	case acquire:
		switch {
		case mine >= 0:
			t.prolong(mine)
			return t.granted(t.holds[mine].slot)
		case t.kind == "semaphore" && len(t.holds) > 0 && t.state.limit != t.call.limit:
			return t.status() == -2 && t.reply[2] == t.state.limit
		case t.admits():
			slot := t.take()
			return t.granted(slot)
		}
		return t.refused()
	case extend:
		if mine < 0 {
			return t.status() == t.absent()
		}
		t.prolong(mine)
	case repair:
		switch {
		case mine >= 0:
			t.prolong(mine)
		case t.admits():
			t.take()
		default:
			return t.status() == 0
		}
	case release:
		if mine < 0 {
			// A reader's entry that has lapsed may still be there.
			return t.status() == 0 || t.status() == 1 && t.read
		}
		t.holds = append(t.holds[:mine:mine], t.holds[mine+1:]...)
		return t.status() == 1
	}
	t.counter = max(t.counter, t.proposal)
	return t.status() == 1
}

// admits reports whether there is room for the caller.
func (t *turn) admits() bool {
	switch {
	case t.kind == "semaphore":
		return int64(len(t.holds)) < t.call.limit
	case t.read:
		return !t.written()
	}
	return len(t.holds) == 0
}

// absent is how an extension is refused.
func (t *turn) absent() int64 {
	if t.kind == "semaphore" || t.read || !t.written() { // a reader's looks at nobody else's
		return 0
	}
	return -1
}

// take gives the caller a hold and returns its slot.
func (t *turn) take() int64 {
	h := hold{owner: t.owner, read: t.read, slot: -1}
	h.from, h.to, h.open = t.end(t.call)
	if t.kind == "semaphore" {
		t.state.limit = t.call.limit
		if !t.unknown {
			h.slot = t.reply[3]
		}
	}
	t.add(h)
	return h.slot
}

// prolong moves the end of a hold, never to an earlier time.
func (t *turn) prolong(i int) {
	h := &t.holds[i]
	from, to, open := t.end(t.call)
	h.from, h.to, h.open = max(h.from, from), max(h.to, to), max(h.open, open)
	if t.verb == acquire && !t.unknown && h.slot < 0 {
		h.slot = t.reply[3] // the first that is heard of it
	}
}

// granted checks what a grant says: a token above all before, a slot of its own.
func (t *turn) granted(slot int64) bool {
	if t.unknown {
		if t.proposal != 0 {
			t.counter, t.loose = t.counter+1, true
		}
		return true
	}
	if t.status() != 1 || t.reply[3] != slot || t.reply[4] != 0 {
		return false
	}
	if t.kind == "semaphore" {
		for _, h := range t.holds {
			if h.owner != t.owner && h.slot == slot {
				return false
			}
		}
		if slot < 0 || slot >= t.state.limit {
			return false
		}
	}
	token := t.reply[2]
	if t.proposal == 0 {
		return token == 0
	}
	p := t.proposal
	if p-t.now > 1e6 || t.now-p > 1e6 {
		p = t.now // a proposal far from the node's clock does not count
	}
	least := max(t.counter+1, p)
	ok := token == least || t.loose && token > least
	t.counter, t.loose = token, false
	return ok
}

// refused checks what a refusal says: when it is worth coming again.
func (t *turn) refused() bool {
	if t.status() != 0 || t.reply[3] != -1 || t.reply[4] != 1 {
		return false
	}
	// A semaphore has room when the first permit ends, a writer when the last reader has.
	first, read := t.holds[0], t.holds[0].read
	from, to := first.from, first.latest()
	for _, h := range t.holds[1:] {
		if t.kind == "semaphore" {
			from, to = min(from, h.from), min(to, h.latest())
		} else {
			from, to = max(from, h.from), max(to, h.latest())
		}
	}
	at := t.of(t.kind, read)
	return t.reply[2] >= from-1-at[1] && t.reply[2] <= max(0, to-at[0])
}
