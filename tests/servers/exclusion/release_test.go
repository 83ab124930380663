package exclusion_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// held returns a lease of one process and the lock as another process has it.
func (s *subject) held(t *testing.T, name string) (*core.Lease, core.Locker) {
	t.Helper()
	s.prepare(t, name)
	return lock(t, s.elsewhere(t, name, patient)), s.elsewhere(t, name, patient)
}

type errs = []error

// is fails the test unless err is all of want and none of not.
func is(t *testing.T, what string, err error, want, not errs) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("%s: got %v, want it to be %v", what, err, w)
		}
	}
	for _, n := range not {
		if errors.Is(err, n) {
			t.Errorf("%s: got %v, want it not to be %v", what, err, n)
		}
	}
	if err != nil && err.Error() == "" {
		t.Errorf("%s: the error has no text", what)
	}
}

// stillHeld fails the test if another process can have the lock.
func (s *subject) stillHeld(t *testing.T, name string) {
	t.Helper()
	if l, err := s.elsewhere(t, name, patient).TryLock(t.Context()); !errors.Is(err, core.ErrNotAcquired) {
		t.Errorf("got %v, %v for another process, want ErrNotAcquired", l, err)
	}
}

// free waits until every node is free: a release returns when a majority is, and the
// rest of an attempt that was refused may stand on one of these for a moment.
func (s *subject) free(t *testing.T, name string) {
	t.Helper()
	if !s.single {
		s.absent(t, s.holdKey(name), 20*time.Second)
	}
}

// testRelease releases with a context that has ended, and an earlier holder's lease again.
func testRelease(t *testing.T, s *subject) {
	name := s.named("release")
	lease, l := s.held(t, name)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := lease.Release(ctx); err != nil {
		t.Errorf("Release with a context that has ended: %v", err)
	}
	s.free(t, name)
	next, err := l.TryLock(t.Context())
	if err != nil {
		t.Fatalf("TryLock after the release: %v", err)
	}
	for range 3 { // of the earlier lease: nothing to do with the next one
		release(t, lease)
	}
	s.stillHeld(t, name)
	if next.Context().Err() != nil {
		t.Errorf("the next lease ended: %v", context.Cause(next.Context()))
	}
	if err := next.Release(ctx); err != nil {
		t.Errorf("Release with a context that has ended: %v", err)
	}
}
