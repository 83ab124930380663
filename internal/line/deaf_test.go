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

// deafened is a server whose subscriptions are confirmed at once, and deliver what a test
// says.
type deafened struct {
	*server
	subscriptions int
	ended         int
	deliver       func(string)
}

func (s *deafened) Subscribe(ctx context.Context, _ string, ready func(), deliver func(string)) error {
	s.mu.Lock()
	s.subscriptions++
	s.deliver = deliver
	s.mu.Unlock()
	ready()
	<-ctx.Done()
	s.mu.Lock()
	s.ended++
	s.mu.Unlock()
	return ctx.Err()
}

// count returns how many subscriptions were made, and how many have ended.
func (s *deafened) count() (made, ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscriptions, s.ended
}

// dropped, as the time since a ticket was called, says that it does not stand in line any more.
const dropped = -time.Second

// handOver lets a waiter stand in line and come by its timer half a second later, to find
// that its ticket was called that long ago. It returns whether the waiter believed that it
// would hear the call, which the script is told by the allowance.
func (s *deafened) handOver(t *testing.T, l *line.Lock, ago time.Duration, message bool) (believed bool) {
	t.Helper()
	s.seize(24 * time.Hour)
	before := len(s.seen("acquire"))
	s.on("acquire", func(c *call) ([]int64, error) {
		reply := c.run()
		if reply[0] == 0 {
			reply[2], reply[3] = -1, 0 // first in line
		} else {
			reply[4] = max(ago.Microseconds(), -1)
		}
		return reply, nil
	})
	got := make(chan *core.Lease)
	go func() {
		lease, err := l.Lock(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- lease
	}()
	time.Sleep(900 * time.Millisecond) // it has come a second time, when the subscription had been confirmed
	tries := s.seen("acquire")[before:]
	ticketed := tries[len(tries)-1]
	if len(ticketed.args) != 11 {
		t.Fatalf("the waiter does not stand in line: %q", ticketed.args)
	}
	s.forget()
	if message {
		s.deliver(ticketed.args[7])
	}
	free(t, <-got)
	synctest.Wait()
	return ticketed.args[9] == "100"
}

func listeningOn(t *testing.T) (*deafened, *line.Lock) {
	t.Helper()
	s := &deafened{server: servers(1)[0]}
	l, err := lockOn([]core.Scripter{s}, &core.Options{MinBusyWait: 500 * time.Millisecond, MaxBusyWait: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

// A subscription that is confirmed and hears nothing is given up by the first waiter that
// comes by its timer and was called long before, or has lost its place since it did not come.
func TestDeafSubscriptionIsRenewed(t *testing.T) {
	for _, ago := range []time.Duration{300 * time.Millisecond, dropped} {
		virtual(t, func(t *testing.T) {
			s, l := listeningOn(t)
			if !s.handOver(t, l, ago, false) {
				t.Fatal("the subscription was not believed at first")
			}
			time.Sleep(10 * time.Millisecond)
			if made, ended := s.count(); made != 2 || ended != 1 {
				t.Fatalf("%v: %d subscriptions were made and %d ended, want a second in place of the first", ago, made, ended)
			}
			if !s.handOver(t, l, 0, true) {
				t.Error("the new subscription is not believed")
			}
			if made, _ := s.count(); made != 2 {
				t.Errorf("%v: %d subscriptions were made, want 2: the second one hears", ago, made)
			}
		})
	}
}

// What hears is not doubted: a message that came, or may still come; a call from before
// the subscription was confirmed.
func TestHearingSubscriptionIsKept(t *testing.T) {
	tests := []struct {
		name    string
		ago     time.Duration
		message bool
	}{
		{"not called before", 0, false},
		{"called a moment ago", 50 * time.Millisecond, false},
		{"told, and late all the same", 300 * time.Millisecond, true},
	}
	for _, tt := range tests {
		virtual(t, func(t *testing.T) {
			s, l := listeningOn(t)
			for range 3 {
				if !s.handOver(t, l, tt.ago, tt.message) {
					t.Errorf("%s: the subscription is not believed", tt.name)
				}
			}
			if made, _ := s.count(); made != 1 {
				t.Errorf("%s: %d subscriptions were made, want 1", tt.name, made)
			}
		})
	}
}

// A ticket that never arrived was not dropped: that it does not stand in line says nothing
// about the subscription.
func TestTicketThatNeverArrivedWasNotDropped(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, l := listeningOn(t)
		s.seize(time.Millisecond)
		began, lost := time.Now(), 0
		s.on("acquire", func(c *call) ([]int64, error) {
			if len(c.args) == 11 && c.at.Equal(began) {
				lost++
				return nil, errors.New("connection reset by peer")
			}
			reply := c.run()
			if reply[0] == 1 {
				reply[4] = -1 // the ticket did not stand in line
			}
			return reply, nil
		})
		lease, err := l.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(s.seen("acquire")); lost == 0 || n != lost+2 {
			t.Fatalf("%d attempts, of which %d were lost, want one more that was refused and one that was granted", n, lost)
		}
		time.Sleep(10 * time.Millisecond)
		if made, _ := s.count(); made != 1 {
			t.Errorf("%d subscriptions were made, want 1", made)
		}
		free(t, lease)
	})
}

// Where no subscription hears, as on a server that forbids to publish, waiters poll, and
// new subscriptions are rare; the first message makes them believe again.
func TestSubscriptionThatNeverHears(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, l := listeningOn(t)
		s.handOver(t, l, 300*time.Millisecond, false)
		s.handOver(t, l, 300*time.Millisecond, false)
		began := time.Now()
		for time.Since(began) < 4*time.Minute {
			if s.handOver(t, l, 300*time.Millisecond, false) {
				t.Fatal("a subscription is believed though the one before heard nothing, either")
			}
		}
		before, _ := s.count()
		if before < 4 || before > 10 {
			t.Errorf("%d subscriptions were made in 4 minutes, want a few, at growing intervals", before)
		}
		s.handOver(t, l, 0, true)
		if !s.handOver(t, l, 0, true) {
			t.Error("the subscription is not believed though it has heard")
		}
		if made, _ := s.count(); made != before {
			t.Errorf("%d subscriptions were made after the message", made-before)
		}
	})
}
