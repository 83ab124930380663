package cluster

import (
	"container/list"
	"time"
)

// maxRetries is how many retries in the background a set keeps. What is dropped above
// it ends by its TTL on the node.
const maxRetries = 4096

// hurryPause is the time from one hurry of a node to the next. Where one server of a cluster
// is down, the node is found failing and answering in turns.
const hurryPause = time.Second

// retry is something to be done on a node later, or sooner when the node answers again, or
// the set is closed.
type retry struct {
	node    *Node
	do      func(hurried bool)
	timer   *time.Timer
	hurried bool
	place   *list.Element // nil: it is done, or dropped
}

// After runs f after d in a goroutine of its own, or hurried before. Nothing waits meanwhile. It
// returns false where too much is to be done already, or the set is closed.
func (n *Node) After(d time.Duration, f func(hurried bool)) bool {
	s := n.Set
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || s.retries.Len() >= maxRetries {
		return false
	}
	r := &retry{node: n, do: f}
	r.place = s.retries.PushBack(r)
	r.timer = time.AfterFunc(d, func() {
		s.mu.Lock()
		due := s.take(r)
		if due {
			s.Begun()
		}
		s.mu.Unlock()
		if due {
			defer s.Ended()
			f(r.hurried)
		}
	})
	return true
}

// take takes a retry out, and reports whether it was still to be done.
func (s *Set) take(r *retry) bool {
	if r.place == nil {
		return false
	}
	s.retries.Remove(r.place)
	r.place = nil
	r.timer.Stop()
	return true
}

// hurry lets what is to be done on the node be done soon: the node answers again. That is not
// at once, so that the caller who has the answer goes first.
func (n *Node) hurry() {
	s := n.Set
	s.mu.Lock()
	defer s.mu.Unlock()
	now, pause := time.Now(), n.LeastPause()
	if now.Sub(n.hurried) < hurryPause {
		return
	}
	n.hurried = now
	for e := s.retries.Front(); e != nil; e = e.Next() {
		if r := e.Value.(*retry); r.node == n && r.timer.Stop() {
			r.hurried = true
			r.timer.Reset(pause)
		}
	}
}

// hurryAll does at once what was to be done later, counted in as calls.
func (s *Set) hurryAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.retries.Len() > 0 {
		r := s.retries.Front().Value.(*retry)
		s.take(r)
		s.Begun()
		go func() {
			defer s.Ended()
			r.do(true)
		}()
	}
}

// forget drops what was to be tried again; what it was about ends by its TTL.
func (s *Set) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	for s.retries.Len() > 0 {
		s.take(s.retries.Front().Value.(*retry))
	}
}
