package cluster

import (
	"context"
	"sync"
	"time"
)

// A claim that is over stands on a node until its removal has been confirmed: a release
// that returned at a majority is on its way to the other nodes, an attempt that was given
// up is being undone, a waiter that left is taken out of the line. The next call of this
// process may overtake the removal, and is then refused by what nobody holds. So each
// node notes what is being removed from it, by lock, and a refusal that meets such remains
// does not count as others'.

// remains is what this process is removing from a node.
type remains struct {
	mu    sync.Mutex
	life  time.Duration       // after which a removal is not waited for: the hold's own TTL has ended it
	begun uint64              // how many removals have
	of    map[string]removals // by lock
}

// removals are those of one lock that are under way, in the order in which they began.
type removals struct{ first, last *Removal }

// Removal is the way of one claim from a node, from the claim's end until the node has
// confirmed or nothing is sent any more.
type Removal struct {
	number     uint64 // from 1; 0: not under way
	began      time.Time
	prev, next *Removal
	ended      chan struct{} // made by who waits for it
}

// Begin notes that m is under way.
func (r *remains) Begin(lock string, m *Removal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.number != 0 {
		return
	}
	r.begun++
	of := r.of[lock]
	m.number, m.began, m.prev = r.begun, time.Now(), of.last
	if of.last == nil {
		of.first = m
	} else {
		of.last.next = m
	}
	of.last = m
	r.of[lock] = of
}

// End notes that m is over, if it was under way.
func (r *remains) End(lock string, m *Removal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(lock, m)
}

func (r *remains) drop(lock string, m *Removal) {
	if m.number == 0 {
		return
	}
	of := r.of[lock]
	if m.prev == nil {
		of.first = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		of.last = m.prev
	} else {
		m.next.prev = m.prev
	}
	if of.first == nil {
		delete(r.of, lock)
	} else {
		r.of[lock] = of
	}
	if m.ended != nil {
		close(m.ended)
	}
	*m = Removal{}
}

// Latest returns the number of the lock's latest removal that is under way; 0: there is
// none.
func (r *remains) Latest(lock string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.of[lock].last; last != nil {
		return last.number
	}
	return 0
}

// next returns what is closed when the lock's earliest removal has ended; nil: none up to
// that number is under way.
func (r *remains) next(lock string, upTo uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		m := r.of[lock].first
		if m == nil || m.number > upTo {
			return nil
		}
		if time.Since(m.began) < r.life {
			if m.ended == nil {
				m.ended = make(chan struct{})
			}
			return m.ended
		}
		r.drop(lock, m)
	}
}

// Await waits until the lock's removals up to that number have ended, at most for d or
// until ctx ends, and reports whether they have.
func (r *remains) Await(ctx context.Context, lock string, upTo uint64, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		ended := r.next(lock, upTo)
		if ended == nil {
			return true
		}
		select {
		case <-ended:
		case <-timer.C:
			return r.next(lock, upTo) == nil
		case <-ctx.Done():
			return r.next(lock, upTo) == nil
		}
	}
}
