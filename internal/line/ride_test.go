package line_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/failure"
)

// says answers every call with an error reply.
func says(text string) handler {
	return func(*call) ([]int64, error) { return nil, errors.New(text) }
}

// text returns an error reply that begins as the entry of the table says.
func text(e failure.Entry) string { return e.Begin + " whatever the server says" }

// A call that has stood in line rides out what passes and what a person may mend; what is
// the caller's mistake ends it. A call that comes meanwhile is told at once, unless the
// server has served it as well as it could.
func TestRepliesEndAWaitOrDoNot(t *testing.T) {
	for _, e := range failure.Replies {
		virtual(t, func(t *testing.T) {
			s := servers(1)[0]
			s.seize(24 * time.Hour)
			l := mutex(t, []*server{s}, nil)
			ended := make(chan error, 1)
			go func() {
				lease, err := l.Lock(t.Context())
				if err == nil {
					err = lease.Release(t.Context())
				}
				ended <- err
			}()
			time.Sleep(time.Second)
			s.onAll(says(text(e)))
			asked := len(s.seen("acquire"))
			time.Sleep(5 * time.Second)
			if len(s.seen("acquire")) == asked {
				t.Fatalf("%s: no attempt has met it", e.Begin)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := mutex(t, []*server{s}, nil).Lock(ctx)
			if class(err) != "outage" || errors.Is(err, context.DeadlineExceeded) != e.Served {
				t.Errorf("%s: Lock that comes meanwhile got %v, waits: %v wanted", e.Begin, err, e.Served)
			}
			s.onAll(nil)
			s.forget()
			switch err := <-ended; {
			case e.Class == failure.Mistake && (class(err) != "outage" || !strings.Contains(err.Error(), `mutex "m"`)):
				t.Errorf("%s: the wait got %v, want the node's error, with the lock's name", e.Begin, err)
			case e.Class != failure.Mistake && err != nil:
				t.Errorf("%s: the wait got %v, want a lease once the server serves again", e.Begin, err)
			}
		})
	}
}

// One node of three in any such state costs nothing, and is not the lead for long unless the
// caller is to blame.
func TestOneNodeOfThreeSaysNo(t *testing.T) {
	for _, e := range failure.Replies {
		virtual(t, func(t *testing.T) {
			ss := servers(3)
			ss[0].onAll(says(text(e)))
			l := mutex(t, ss, nil)
			began := time.Now()
			lease, err := l.Lock(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", e.Begin, err)
			}
			other := mutex(t, ss, nil)
			if _, err := other.TryLock(t.Context()); class(err) != "others" {
				t.Errorf("%s: TryLock of a held lock: %v", e.Begin, err)
			}
			if took := time.Since(began); took > 0 {
				t.Errorf("%s: it took %v", e.Begin, took)
			}
			got := waits(t, other)
			asked := len(ss[0].seen("acquire"))
			time.Sleep(10 * time.Second)
			if n := len(ss[0].seen("acquire")) - asked; e.Class != failure.Mistake && n > 0 {
				t.Errorf("%s: a waiter asked the node %d times before the others: it leads", e.Begin, n)
			}
			time.Sleep(2 * expiry)
			if err := context.Cause(lease.Context()); err != nil {
				t.Fatalf("%s: %v", e.Begin, err)
			}
			free(t, lease)
			free(t, <-got)
		})
	}
}

// errClosedClient is what an adapter returns for a client that was closed.
var errClosedClient = fmt.Errorf("%w: redis: client is closed", core.ErrClosed)

// A client that was closed ends every wait at once, also one without a provider, those
// behind it in line too, and nothing goes on in the background.
func TestClosedClientEndsWaits(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		s.seize(24 * time.Hour)
		l := mutex(t, []*server{s}, nil)
		const waiters = 3
		ended := make(chan error, waiters)
		for range waiters {
			go func() {
				_, err := l.Lock(context.Background())
				ended <- err
			}()
		}
		time.Sleep(time.Second)
		s.onAll(func(*call) ([]int64, error) { return nil, errClosedClient })
		began := time.Now()
		for range waiters {
			err := <-ended
			if class(err) != "outage" || !errors.Is(err, core.ErrClosed) || !strings.Contains(err.Error(), "client was closed") {
				t.Errorf("got %v, want a NodeError that is %v and names the client", err, core.ErrClosed)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the waits ended after %v, want one poll", took)
		}
		synctest.Wait()
		calls := len(s.seen("acquire")) + len(s.seen("release"))
		time.Sleep(2 * expiry)
		if n := len(s.seen("acquire")) + len(s.seen("release")); n != calls {
			t.Errorf("%d more calls on a closed client", n-calls)
		}
	})
}

// With a majority of other clients a closed one costs nothing, also where one of these has
// to be waited for.
func TestOneClosedClientOfThree(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		for _, s := range ss {
			s.seize(5 * time.Second)
		}
		ss[0].onAll(func(*call) ([]int64, error) { return nil, errClosedClient })
		time.AfterFunc(4*time.Second, func() { ss[1].onAll(failing) })
		time.AfterFunc(8*time.Second, func() { ss[1].onAll(nil) })
		began := time.Now()
		lease, err := mutex(t, ss, nil).Lock(t.Context())
		if err != nil || time.Since(began) < 8*time.Second {
			t.Fatalf("got %v after %v, want a lease once two nodes serve", err, time.Since(began))
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Errorf("Release: %v", err)
		}
	})
}

// A release that a closed client refuses is told at once.
func TestReleaseWithAClosedClient(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		lease := take(t, mutex(t, []*server{s}, nil))
		s.onAll(func(*call) ([]int64, error) { return nil, errClosedClient })
		began := time.Now()
		if err := lease.Release(t.Context()); !errors.Is(err, core.ErrClosed) || time.Since(began) != 0 || len(s.seen("release")) != 1 {
			t.Errorf("got %v after %v and %d calls, want %v at once", err, time.Since(began), len(s.seen("release")), core.ErrClosed)
		}
	})
}

// Those who wait behind the front of this process's line are told what stands in the
// front's way.
func TestBehindTheFront(t *testing.T) {
	for _, test := range []struct {
		name string
		want string
		set  func(s *server)
	}{
		{"its first attempt has no answer", "outage", func(s *server) { s.on("acquire", silent) }},
		{"its last attempt was refused", "others", func(s *server) { s.seize(24 * time.Hour) }},
		{"the server is gone since", "outage", func(s *server) {
			s.seize(24 * time.Hour)
			time.AfterFunc(time.Second, func() { s.onAll(failing) })
		}},
		{"the server hangs since", "outage", func(s *server) {
			s.seize(24 * time.Hour)
			time.AfterFunc(time.Second, func() { s.onAll(silent) })
		}},
		{"the server has begun to hang only just now", "others", func(s *server) {
			s.seize(24 * time.Hour)
			time.AfterFunc(5*time.Second-20*time.Millisecond, func() { s.onAll(silent) })
		}},
	} {
		virtual(t, func(t *testing.T) {
			s := servers(1)[0]
			test.set(s)
			l := mutex(t, []*server{s}, &core.Options{Expiry: 100 * time.Second, MinBusyWait: time.Millisecond, MaxBusyWait: 5 * time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			ended := make(chan error, 2)
			for range 2 {
				go func() {
					_, err := l.Lock(ctx)
					ended <- err
				}()
			}
			for range 2 {
				if err := <-ended; class(err) != test.want || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: got %v, want %s and %v", test.name, err, test.want, context.DeadlineExceeded)
				}
			}
		})
	}
}

// Before anything is asked there is nothing to tell but the context's end.
func TestContextThatHasEnded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		l := mutex(t, []*server{s}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, lock := range map[string]func(context.Context) (*core.Lease, error){"Lock": l.Lock, "TryLock": l.TryLock} {
			_, err := lock(ctx)
			if class(err) != "neither" || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `mutex "m"`) {
				t.Errorf("%s: got %v, want %v and the lock's name", name, err, context.Canceled)
			}
		}
		if len(s.seen("acquire")) != 0 {
			t.Error("something was asked")
		}
	})
}
