package sim

import (
	"errors"
	"fmt"
	"sync"
)

// What a register finds.
var (
	ErrLostUpdate = errors.New("an unguarded update was lost")
	ErrStaleWrite = errors.New("the guard accepted a stale write")
)

// A Register is what a lock protects: shared data, written by holders. It has
// two sides. The unguarded side trusts its writers to hold the lock; the
// guarded side trusts nobody and refuses a write with a smaller token than the
// highest it has seen. It is safe for concurrent use.
type Register struct {
	name string

	mu      sync.Mutex
	grants  int64 // counts the grants, in real-time order
	value   int64 // unguarded: counts the updates, if none is lost
	updates int64
	highest int64 // guarded: the highest token seen
	writer  int64 // guarded: the grant of the last accepted write
	refused int64 // guarded: stale writes
	errs    []error
}

// Granted numbers a grant; it is called when Lock has returned.
func (r *Register) Granted() (grant int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grants++
	return r.grants
}

// Read begins an unguarded update.
func (r *Register) Read() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.value
}

// Update ends an unguarded update that began by reading old.
func (r *Register) Update(old int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.updates++
	r.value = old + 1
	if r.value != r.updates {
		r.fail("%s: %w: %d updates, value %d", r.name, ErrLostUpdate, r.updates, r.value)
		r.updates = r.value
	}
}

// Write is a guarded write of the holder with the given token and grant. It may
// come long after the lease has ended.
func (r *Register) Write(token, grant int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if token < r.highest {
		r.refused++
		return
	}
	if grant < r.writer {
		r.fail("%s: %w: grant %d with token %d after grant %d with token %d", r.name, ErrStaleWrite, grant, token, r.writer, r.highest)
	}
	r.highest, r.writer = token, grant
}

// Refused is how many stale writes the guard kept out.
func (r *Register) Refused() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// fail notes a breach; the first few tell the story.
func (r *Register) fail(format string, args ...any) {
	if len(r.errs) < 5 {
		r.errs = append(r.errs, fmt.Errorf(format, args...))
	}
}

// Errs is what went wrong.
func (r *Register) Errs() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errs
}
