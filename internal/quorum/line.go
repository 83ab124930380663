package quorum

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// maxTogether is how many readers at the front of a line go together.
const maxTogether = 128

// line is the local queue for one lock: the goroutines of this process that wait for
// it, in the order in which they came. Only its front asks the nodes, so that a
// thousand goroutines cost what one does.
type line struct{ waiters []*waiter }

// waiter is one waiting call. Until it is at the front its fields belong to Set.mu,
// from then on to its call.
type waiter struct {
	lock  *Lock
	ctx   context.Context
	front bool
	turn  chan struct{} // closed when it comes to the front
	wake  chan struct{} // of capacity 1: its ticket was called

	ticket string        // its place in the queues on the nodes; empty: none yet
	at     map[*node]int // the nodes that were given it, and its place there
	gone   *atomic.Bool  // it has been withdrawn: a call under way may still put it back
}

// join puts the call at the end of the line and returns when it is at the front. Until it
// has left again it counts as a call under way.
func (l *Lock) join(ctx context.Context) (*waiter, error) {
	w := &waiter{lock: l, ctx: ctx}
	s := l.set
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, l.closedError()
	}
	s.begun()
	ln := s.lines[l.lineKey()]
	if ln == nil {
		ln = s.spare
		if s.spare = nil; ln == nil {
			ln = &line{}
		}
		s.lines[l.lineKey()] = ln
	}
	ln.waiters = append(ln.waiters, w)
	ln.advance()
	if !w.front {
		w.turn = make(chan struct{})
	}
	s.mu.Unlock()
	if w.turn == nil {
		return w, nil
	}
	select {
	case <-w.turn:
		return w, nil
	case <-ctx.Done():
		w.leave(false, nil)
		return nil, l.ended(ctx, nil)
	case <-s.done:
		w.leave(false, nil)
		return nil, l.closedError()
	}
}

// lineKey is the same for both sides of a reader-writer lock.
func (l *Lock) lineKey() string { return l.keys[1] }

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
func (w *waiter) leave(holds bool, by *node) {
	s, key := w.lock.set, w.lock.lineKey()
	s.mu.Lock()
	ln := s.lines[key]
	ln.waiters = slices.DeleteFunc(ln.waiters, func(o *waiter) bool { return o == w })
	if len(ln.waiters) == 0 {
		delete(s.lines, key)
		s.spare = ln
	}
	inherited := false
	if w.ticket != "" {
		delete(s.tickets, w.ticket)
		if len(ln.waiters) > 0 && !ln.waiters[0].front && !holds {
			heir := ln.waiters[0]
			heir.ticket, heir.at, heir.gone, heir.wake = w.ticket, w.at, w.gone, make(chan struct{}, 1)
			s.tickets[w.ticket] = heir
			inherited = true
		}
	}
	ln.advance()
	s.mu.Unlock()
	if w.ticket != "" && !inherited {
		w.withdraw(by)
	}
	s.ended()
}

// A lock is crowded for crowdedFor after somebody was refused; so is noted of at most
// maxCrowded of them.
const (
	crowdedFor = time.Second
	maxCrowded = 1024
)

// crowd notes that somebody was refused the lock.
func (s *Set) crowd(l *Lock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.crowds) >= maxCrowded {
		clear(s.crowds)
	}
	s.crowds[l.lineKey()] = time.Now()
}

// crowded reports whether the lock is.
func (s *Set) crowded(l *Lock) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, noted := s.crowds[l.lineKey()]
	if noted && time.Since(at) > crowdedFor {
		delete(s.crowds, l.lineKey())
		noted = false
	}
	return noted
}
