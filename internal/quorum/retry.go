package quorum

import "time"

// maxRetries is how many retries in the background a set keeps. What is dropped above
// it ends by its TTL on the node.
const maxRetries = 4096

// retry is something to be done later, or at once when the set is closed.
type retry struct {
	timer *time.Timer
	do    func()
}

// after runs f after d in a goroutine of its own. Nothing waits meanwhile.
func (s *Set) after(d time.Duration, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || len(s.retries) >= maxRetries {
		return
	}
	r := &retry{do: f}
	r.timer = time.AfterFunc(d, func() {
		s.mu.Lock()
		_, due := s.retries[r]
		delete(s.retries, r)
		if due {
			s.begun()
		}
		s.mu.Unlock()
		if due {
			defer s.ended()
			f()
		}
	})
	s.retries[r] = struct{}{}
}

// hurry does at once what was to be done later, counted in as calls.
func (s *Set) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.retries {
		r.timer.Stop()
		s.begun()
		go func() {
			defer s.ended()
			r.do()
		}()
	}
	clear(s.retries)
}
