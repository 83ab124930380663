package locks_test

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

func testTry(t *testing.T, s *subject) {
	name := s.named("try")
	lease, l := s.held(t, name)
	got, err := l.TryLock(t.Context())
	is(t, "TryLock of a held lock", err, errs{core.ErrNotAcquired}, errs{context.Canceled, context.DeadlineExceeded})
	if got != nil {
		t.Error("a refused TryLock returned a lease")
	}
	release(t, lease)
	s.free(t, name)
	next, err := l.TryLock(t.Context())
	if err != nil {
		t.Fatalf("TryLock of a free lock: %v", err)
	}
	if next.Token() <= lease.Token() || lease.Token() <= 0 {
		t.Errorf("got tokens %d, then %d, want them to rise", lease.Token(), next.Token())
	}
	release(t, next)
}

func testDeadline(t *testing.T, s *subject) {
	lease, l := s.held(t, s.named("deadline"))
	const wait = 150 * time.Millisecond
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	got, err := l.Lock(ctx)
	is(t, "Lock with a deadline", err, errs{core.ErrNotAcquired, context.DeadlineExceeded}, errs{context.Canceled})
	// The lock is held on, and extended: it could not be had at any later time either.
	if took := time.Since(began); got != nil || took < wait-time.Millisecond || took > wait+10*time.Second {
		t.Errorf("got %v after %v, want nothing after %v", got, took, wait)
	}

	_, err = l.TryLock(ctx)
	is(t, "TryLock with a context that has ended", err, errs{core.ErrNotAcquired, context.DeadlineExceeded}, nil)
	_, err = l.Lock(ctx)
	is(t, "Lock with a context that has ended", err, errs{core.ErrNotAcquired, context.DeadlineExceeded}, nil)

	// Nobody waits any more: the lock goes to whoever comes.
	release(t, lease)
	release(t, lock(t, l))
}

func testCancel(t *testing.T, s *subject) {
	name := s.named("cancel")
	lease, _ := s.held(t, name)
	opts := patient
	opts.MaxBusyWait = 30 * time.Second // a ticket that stays would stay for three times that
	l := s.elsewhere(t, name, opts)
	why := errors.New("the user went home")
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 1)
	go func() {
		got, err := l.Lock(ctx)
		if got != nil {
			t.Error("a cancelled Lock returned a lease")
		}
		result <- err
	}()
	queue := s.queueKey(name)
	eventually(t, 20*time.Second, "the waiter stands in line", func() bool { return s.holding(t, queue) > 0 })
	cancel(why)
	is(t, "a cancelled Lock", <-result, errs{core.ErrNotAcquired, context.Canceled, why}, errs{context.DeadlineExceeded})
	s.absent(t, queue, 20*time.Second) // its place in line goes with the call

	release(t, lease)
	release(t, lock(t, l))
}

func testWithin(t *testing.T, s *subject) {
	name := s.named("within")
	lease, l := s.held(t, name)
	_, err := core.Within(l, 50*time.Millisecond).Lock(t.Context())
	is(t, "Within(50ms)", err, errs{core.ErrNotAcquired, context.DeadlineExceeded}, nil)
	_, err = core.Within(l, 0).Lock(t.Context())
	is(t, "Within(0)", err, errs{core.ErrNotAcquired}, errs{context.DeadlineExceeded})
	_, err = core.Within(l, -1).Lock(t.Context())
	is(t, "Within(-1)", err, errs{core.ErrInvalid}, errs{core.ErrNotAcquired})
	release(t, lease)

	ran := false
	err = core.Do(t.Context(), core.Within(l, time.Minute), func(ctx context.Context) error {
		ran = true
		own, ok := core.FromContext(ctx)
		if !ok || own.Name() != name || own.Token() <= lease.Token() {
			t.Errorf("got the lease %v, %v from Do's context", own, ok)
		}
		return nil
	})
	if err != nil || !ran {
		t.Errorf("got %v from Do, ran: %v", err, ran)
	}
}

func testRelease(t *testing.T, s *subject) {
	name := s.named("release")
	lease, l := s.held(t, name)
	if cause := context.Cause(lease.Context()); cause != nil {
		t.Fatalf("got %v as the cause of a live lease", cause)
	}
	release(t, lease)
	is(t, "the cause after a release", context.Cause(lease.Context()), errs{core.ErrReleased}, errs{core.ErrLost})

	next := lock(t, l)
	for range 3 { // of the earlier lease: nothing to do with the next one
		release(t, lease)
	}
	if done(lease.Lost()) {
		t.Error("a release closed Lost")
	}
	s.stillHeld(t, name)
	if next.Context().Err() != nil {
		t.Errorf("the next lease ended: %v", context.Cause(next.Context()))
	}
	release(t, next)
}

func testReleaseEnded(t *testing.T, s *subject) {
	name := s.named("release ended")
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
	if err := next.Release(ctx); err != nil {
		t.Errorf("Release with a context that has ended: %v", err)
	}
}
