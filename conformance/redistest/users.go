package redistest

import "sync"

// users counts who uses something that is tidied up when nobody does. While others use a
// client, closing its idle connections would fail the request that is about to go over one.
type users struct {
	mu sync.Mutex
	n  int
}

// enter counts one in, until leave is called; the last one to leave tidies up, which
// nobody enters beside.
func (u *users) enter(tidy func()) (leave func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.n--; u.n == 0 {
			tidy()
		}
	}
}
