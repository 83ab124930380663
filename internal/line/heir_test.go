package line_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
)

// The ticket of a waiter that leaves goes to the next one of its process, with its place:
// the heir asks with it, and it is withdrawn, with the subscription, when the heir leaves.
func TestTheHeirAsksWithTheTicket(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := newSpeaker()
		s.seize(24 * time.Hour)
		l, err := lockOn([]core.Scripter{s}, nil)
		if err != nil {
			t.Fatal(err)
		}
		leaves := func(after time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			if _, err := l.Lock(ctx); err == nil {
				t.Error("a lease of a mutex that somebody else holds")
			}
		}
		go leaves(500 * time.Millisecond)
		synctest.Wait()
		go leaves(800 * time.Millisecond) // within a second of the other one's refusal
		time.Sleep(499 * time.Millisecond)
		asked := s.seen("acquire")
		ticket := asked[len(asked)-1].args[7]
		time.Sleep(time.Minute) // both have left, and the subscription with them, or the bubble does not end
		heirs := s.seen("acquire")[len(asked):]
		if len(heirs) == 0 {
			t.Fatal("the heir has not asked")
		}
		for _, c := range heirs {
			if c.args[7] != ticket {
				t.Errorf("the heir asked with the ticket %q, want %q", c.args[7], ticket)
			}
		}
		withdrawn := 0
		for _, c := range s.seen("release") {
			if c.args[5] == ticket {
				withdrawn++
			}
		}
		if withdrawn == 0 {
			t.Error("the ticket was not withdrawn")
		}
	})
}

// The lead lets a waiter in, the others do not, and the waiter's context ends in the pause
// after the attempt: the ticket is withdrawn from the lead, too.
func TestTicketOfAnAttemptThatOnlyTheLeadGranted(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		for _, s := range ss[1:] {
			s.seize(24 * time.Hour)
		}
		l := mutex(t, ss, &core.Options{MinBusyWait: time.Second, MaxBusyWait: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), window+500*time.Millisecond)
		defer cancel()
		if _, err := l.Lock(ctx); !errors.Is(err, core.ErrNotAcquired) {
			t.Fatalf("got %v, want %v: others have it on two of three nodes", err, core.ErrNotAcquired)
		}
		asked := ss[0].seen("acquire")
		if last := asked[len(asked)-1]; len(last.args) != 11 || !last.at.Before(time.Now().Add(-400*time.Millisecond)) {
			t.Fatalf("the context did not end in the pause after an attempt with a ticket")
		}
		ticket := asked[len(asked)-1].args[7]
		synctest.Wait()
		if !slices.ContainsFunc(ss[0].seen("release"), func(c *call) bool { return c.args[5] == ticket }) {
			t.Error("the ticket was not withdrawn")
		}
	})
}

// A subscription that ends late, when the next one is confirmed, says nothing about that.
func TestASubscriptionThatEndsLate(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := newSpeaker()
		s.lag = 10 * time.Second
		s.seize(24 * time.Hour)
		l, err := lockOn([]core.Scripter{s}, nil)
		if err != nil {
			t.Fatal(err)
		}
		wait := func(d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			_, _ = l.Lock(ctx)
		}
		go wait(time.Second)
		synctest.Wait()
		s.confirm()
		time.Sleep(3 * time.Second) // it has left, and its subscription is being ended
		go wait(30 * time.Second)
		time.Sleep(time.Second)
		s.confirm() // the second one
		time.Sleep(20 * time.Second)
		asked := s.seen("acquire")
		if got := asked[len(asked)-1].args[9]; got != "100" {
			t.Errorf("the waiter is given %s ms when it is called, want 100: it is subscribed", got)
		}
	})
}
