package line_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/line"
)

// speaker is a server with a channel, to whose one subscriber a test speaks.
type speaker struct {
	*server
	mu      sync.Mutex
	ready   func()
	deliver func(string)
	cut     chan struct{} // closed to break the subscription
	lag     time.Duration // from the end of a subscription's context to its return
}

func newSpeaker() *speaker { return &speaker{server: servers(1)[0], cut: make(chan struct{})} }

// Subscribe implements core.Subscriber. The subscription is confirmed by confirm.
func (s *speaker) Subscribe(ctx context.Context, _ string, ready func(), deliver func(string)) error {
	s.mu.Lock()
	s.ready, s.deliver = ready, deliver
	cut := s.cut
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		time.Sleep(s.lag)
		return ctx.Err()
	case <-cut:
		return errors.New("connection reset by peer")
	}
}

func (s *speaker) confirm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready()
}

// breakOff ends the subscription; the next one is another.
func (s *speaker) breakOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// patient makes polls so rare that a waiter that comes before was woken.
func patient() *core.Options {
	return &core.Options{MinBusyWait: time.Hour, MaxBusyWait: time.Hour}
}

// waits starts a Lock and returns when it sleeps.
func waits(t *testing.T, l *line.Lock) <-chan *core.Lease {
	t.Helper()
	got := make(chan *core.Lease, 1)
	go func() {
		lease, err := l.Lock(t.Context())
		if err != nil && t.Context().Err() == nil {
			t.Errorf("Lock: %v", err)
		}
		got <- lease
	}()
	time.Sleep(time.Second)
	return got
}

// comesNow returns the lease, which must be there at this instant.
func comesNow(t *testing.T, got <-chan *core.Lease, why string) *core.Lease {
	t.Helper()
	synctest.Wait()
	select {
	case lease := <-got:
		return lease
	default:
		t.Fatalf("the waiter still sleeps: %s", why)
		return nil
	}
}

// waiting returns a speaker whose mutex is held, and a waiter that has found it so.
func waiting(t *testing.T) (*speaker, <-chan *core.Lease) {
	t.Helper()
	s := newSpeaker()
	s.seize(24 * time.Hour)
	s.on("acquire", func(c *call) ([]int64, error) {
		reply := c.run()
		if reply[0] == 0 {
			reply[2], reply[3] = -1, 0 // no hint when to come again: first in line
		}
		return reply, nil
	})
	l, err := lockOn([]core.Scripter{s}, patient())
	if err != nil {
		t.Fatal(err)
	}
	got := waits(t, l)
	if n := len(s.seen("acquire")); n != 2 {
		t.Fatalf("%d attempts, want one without a ticket and one with it", n)
	}
	return s, got
}

// In the last millisecond of a hold a server says that none is left. The first in line then
// comes again at once, and not when its next poll would be due.
func TestAWaiterComesAtOnceWhenNothingIsLeft(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		s.seize(24 * time.Hour)
		begun := time.Now()
		s.on("acquire", func(c *call) ([]int64, error) {
			if time.Since(begun) >= 5*time.Millisecond {
				s.forget()
			}
			reply := c.run()
			if reply[0] == 0 {
				reply[2], reply[3] = 0, 0
			}
			return reply, nil
		})
		l, err := lockOn([]core.Scripter{s}, patient())
		if err != nil {
			t.Fatal(err)
		}
		lease, err := l.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if took, n := time.Since(begun), len(s.seen("acquire")); took > 6*time.Millisecond || n < 3 || n > 10 {
			t.Errorf("held after %v and %d attempts, want 5 ms, and an attempt for each", took, n)
		}
		free(t, lease)
	})
}

func TestAWaiterAsksWhenItsSubscriptionIsConfirmed(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, got := waiting(t)
		s.forget() // released before the subscription was there: the call was missed
		s.confirm()
		free(t, comesNow(t, got, "what was published before it listened is lost"))
	})
}

func TestAWaiterAsksWhenItsSubscriptionIsBack(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, got := waiting(t)
		s.confirm()
		synctest.Wait()
		s.breakOff()
		time.Sleep(time.Second)
		s.forget()
		s.confirm()
		free(t, comesNow(t, got, "what was published while the connection was gone is lost"))
	})
}

func TestAWaiterAsksWhenItsTicketIsCalled(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, got := waiting(t)
		s.confirm()
		synctest.Wait()
		s.forget()
		ticket := s.seen("acquire")[1].args[7]
		s.deliver("somebody else's")
		synctest.Wait()
		asked := len(s.seen("acquire"))
		s.deliver(ticket)
		free(t, comesNow(t, got, "its ticket was called"))
		if n := len(s.seen("acquire")); n != asked+1 {
			t.Errorf("%d attempts for one call, want 1", n-asked)
		}
	})
}

// With a lost message the poll still comes.
func TestAWaiterPolls(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, got := waiting(t)
		s.forget()
		time.Sleep(time.Hour)
		free(t, comesNow(t, got, "its poll was due"))
	})
}

// A ticket outlives the attempts of its waiter; when the waiter leaves, it is withdrawn.
func TestTicketIsKeptAndWithdrawn(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		s.seize(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := mutex(t, []*server{s}, nil).Lock(ctx)
		if !errors.Is(err, core.ErrNotAcquired) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		asked := s.seen("acquire")
		ticket := asked[1].args[7]
		for _, c := range asked[1:] {
			if c.args[7] != ticket || c.owner == ticket {
				t.Fatalf("got the ticket %q, want %q with another owner", c.args[7], ticket)
			}
		}
		synctest.Wait()
		withdrawn := false
		for _, c := range s.seen("release") {
			withdrawn = withdrawn || c.args[5] == ticket
		}
		if !withdrawn {
			t.Error("the ticket of a waiter that has left was not withdrawn")
		}
	})
}

// Until a majority has answered once, the failures of nodes are told at once, also where
// one node says that others hold the lock.
func TestLockTellsFailuresAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		ss[1].seize(24 * time.Hour)
		for _, s := range []*server{ss[0], ss[2]} {
			s.onAll(func(c *call) ([]int64, error) {
				time.Sleep(time.Millisecond)
				return failing(c)
			})
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := mutex(t, ss, nil).Lock(ctx)
		var node *core.NodeError
		if errors.Is(err, core.ErrNotAcquired) || !errors.As(err, &node) {
			t.Errorf("got %v, want NodeErrors alone: the majority that failed decides", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("Lock took %v to say that no majority can be asked", took)
		}
	})
}

// A majority that granted too late is an error when that happens twice in a row, not
// twice in a long wait.
func TestTooLateNowAndThen(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		s.seize(24 * time.Hour)
		s.on("acquire", func(c *call) ([]int64, error) {
			switch len(s.seen("acquire")) {
			case 3, 6:
				s.forget()
				return after(0, window)(c)
			case 4:
				s.seize(24 * time.Hour)
			}
			return c.run(), nil
		})
		lease, err := mutex(t, []*server{s}, nil).Lock(t.Context())
		if err != nil {
			t.Fatalf("%d attempts: %v", len(s.seen("acquire")), err)
		}
		if n := len(s.seen("acquire")); n < 7 {
			t.Errorf("%d attempts, want two that were too late", n)
		}
		free(t, lease)
	})
}

// A thousand goroutines cost what one does: one contends on the nodes.
func TestOneOfAProcessAsks(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		l := mutex(t, ss, nil)
		first := take(t, l)
		const waiters = 100
		done := make(chan struct{})
		inside := 0
		for range waiters {
			go func() {
				defer func() { done <- struct{}{} }()
				lease, err := l.Lock(t.Context())
				if err != nil {
					t.Errorf("Lock: %v", err)
					return
				}
				if inside++; inside != 1 {
					t.Errorf("%d inside", inside)
				}
				time.Sleep(time.Millisecond)
				inside--
				free(t, lease)
			}()
		}
		time.Sleep(10 * time.Second)
		polls := 10*int(time.Second)/int(10*time.Millisecond+800*time.Millisecond) + 1
		if n := len(ss[0].seen("acquire")); n > 4*polls {
			t.Errorf("%d attempts in 10s by %d waiters, want those of one", n, waiters)
		}
		free(t, first)
		for range waiters {
			<-done
		}
	})
}

// One node that fails at once does not end a wait: that others hold the lock is said by a
// majority without it, only not in the same instant, and on a busy machine not soon.
func TestLockWaitsBesideAFailingNode(t *testing.T) {
	for _, test := range []struct {
		nodes int
		apart time.Duration
	}{{3, 20 * time.Millisecond}, {5, 20 * time.Millisecond}, {3, 2 * time.Second}, {5, 600 * time.Millisecond}} {
		virtual(t, func(t *testing.T) {
			ss := servers(test.nodes)
			ss[0].onAll(failing)
			for i, s := range ss[1:] {
				s.seize(24 * time.Hour)
				s.onAll(after(0, time.Duration(i)*test.apart))
			}
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := mutex(t, ss, nil).Lock(ctx)
			if took := time.Since(began); took < 10*time.Second || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d nodes, %v apart: got %v after %v, want a wait until the context ends", test.nodes, test.apart, err, took)
			}
		})
	}
}

// Leads that fail by turns are not asked without a pause.
func TestPauseBetweenFailingLeads(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		for _, s := range ss {
			s.seize(24 * time.Hour)
			s.on("acquire", func(c *call) ([]int64, error) {
				time.Sleep(time.Millisecond)
				if len(c.args) > 7 { // a ticket is written down: the server is out of memory
					return nil, errors.New("OOM command not allowed when used memory > 'maxmemory'")
				}
				return c.run(), nil
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := mutex(t, ss, nil).Lock(ctx); err == nil {
			t.Error("a lease of a lock that others hold")
		}
		if n := len(ss[0].seen("acquire")); n > 200 {
			t.Errorf("%d attempts within 10s, want those of a waiter that sleeps in between", n)
		}
	})
}

// valueless is a context that panics when it is asked for a value.
type valueless struct{ context.Context }

func (valueless) Value(any) any { panic("no values") }

// A waiter whose context panics, which its program may survive, leaves the line.
func TestPanicLeavesTheLine(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(1)
		l := mutex(t, ss, nil)
		ss[0].seize(time.Second)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, _ = l.Lock(valueless{ctx})
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		lease, err := l.Lock(ctx)
		if err != nil {
			t.Fatal(err)
		}
		free(t, lease)
	})
}
