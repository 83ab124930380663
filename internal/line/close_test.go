package line_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/line"
)

// Close ends the contexts of calls, too: whoever is on the way to one then must not take
// that for a node's silence.
func TestCloseWhileACallBegins(t *testing.T) {
	begun := 0
	for i := range 200 { // the call, its context and Close are told of at the same time
		virtual(t, func(t *testing.T) {
			s := servers(1)[0]
			s.on("acquire", silent)
			left, closing := 0, func() {} // an attempt reads the clock three times on its way to the call
			opts := &core.Options{Now: func() time.Time {
				if left--; left == 0 {
					closing()
				}
				return time.Now()
			}}
			set, l := closable(t, s, opts)
			left, closing = 1+i%3, func() { _ = set.Close() }
			if _, err := l.TryLock(t.Context()); !errors.Is(err, core.ErrClosed) {
				t.Fatalf("closed at read %d of the clock: got %v, want %v", 1+i%3, err, core.ErrClosed)
			}
			synctest.Wait()
			for _, c := range s.seen("acquire") {
				if c.ctx.Err() != nil && c.at.Equal(time.Now()) {
					begun++
				}
			}
		})
	}
	if begun == 0 {
		t.Error("Close has overtaken no call")
	}
}

// Close with many leases does not ask more of a client than one has connections for, and
// ends them all, answers or not.
func TestCloseReleasesAFewAtATime(t *testing.T) {
	for _, hung := range []bool{false, true} {
		virtual(t, func(t *testing.T) {
			s := servers(1)[0]
			set, err := line.NewGroup([]core.Scripter{s}, nil)
			if err != nil {
				t.Fatal(err)
			}
			var leases []*core.Lease
			for range 1000 {
				l := set.Lock("m", handMade)
				leases = append(leases, take(t, l))
				s.forget() // one server plays one name
			}
			s.on("release", after(0, time.Millisecond))
			if hung {
				s.on("release", silent)
			}
			s.most = 0
			began := time.Now()
			err = set.Close()
			if took := time.Since(began); (err != nil) != hung || took > window+window/32 {
				t.Errorf("hung %v: Close: got %v after %v, want an error only of a node that hangs, and at most the window", hung, err, took)
			}
			if !hung && (s.most < 2 || s.most > 128) {
				t.Errorf("%d releases under way at a time, want several and at most 128", s.most)
			}
			for _, lease := range leases {
				if !errors.Is(context.Cause(lease.Context()), core.ErrClosed) {
					t.Fatalf("hung %v: a lease has not ended: %v", hung, context.Cause(lease.Context()))
				}
			}
		})
	}
}

func TestCloseEndsEverything(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		nodes := []core.Scripter{ss[0], ss[1], ss[2]}
		set, err := line.NewGroup(nodes, nil)
		if err != nil {
			t.Fatal(err)
		}
		l := set.Lock("m", handMade)
		lease := take(t, l)
		errs := make(chan error)
		for range 3 {
			go func() {
				_, err := l.Lock(t.Context())
				errs <- err
			}()
		}
		time.Sleep(time.Second)
		ss[2].onAll(silent)
		began := time.Now()
		for range 2 {
			if err := set.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if took := time.Since(began); took > window+window/32 {
			t.Errorf("Close took %v, want at most the window", took)
		}
		for range 3 {
			if err := <-errs; !errors.Is(err, core.ErrClosed) {
				t.Errorf("a waiter got %v, want %v", err, core.ErrClosed)
			}
		}
		cause := context.Cause(lease.Context())
		if !errors.Is(cause, core.ErrReleased) || !errors.Is(cause, core.ErrClosed) {
			t.Errorf("the cause is %v, want %v and %v", cause, core.ErrReleased, core.ErrClosed)
		}
		if _, err := l.TryLock(t.Context()); !errors.Is(err, core.ErrClosed) {
			t.Errorf("TryLock after Close: got %v, want %v", err, core.ErrClosed)
		}
		time.Sleep(time.Second)
		for i, s := range ss[:2] {
			if s.holder() != "" {
				t.Errorf("node %d still has a hold", i)
			}
		}
	})
}

// Close waits until its waiters' tickets are withdrawn: the clients are closed next.
func TestCloseWaitsForTheTickets(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		s.seize(time.Hour)
		answered := 0
		s.on("release", func(c *call) ([]int64, error) {
			time.Sleep(time.Millisecond)
			answered++
			return c.run(), nil
		})
		set, l := closable(t, s, patient())
		ended := make(chan error, 1)
		go func() {
			_, err := l.Lock(t.Context())
			ended <- err
		}()
		time.Sleep(time.Second)
		if err := set.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if answered != 1 {
			t.Errorf("%d tickets were withdrawn when Close returned, want 1", answered)
		}
		if err := <-ended; !errors.Is(err, core.ErrClosed) {
			t.Errorf("the waiter got %v, want %v", err, core.ErrClosed)
		}
	})
}

// A release that is confirmed when Close has given up starts nothing again.
func TestReleaseAfterClose(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		set, l := closable(t, s, nil)
		take(t, l)
		s.on("release", after(0, window+time.Second))
		if err := set.Close(); err == nil {
			t.Error("Close has waited for the release")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(s.seen("release")); n == 0 || l.Removing() != 0 {
			t.Fatalf("%d releases were sent, %d are not over", n, l.Removing())
		}
	})
}
