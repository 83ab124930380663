package checker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
)

// lease is a lease as far as a history reads it.
type lease struct {
	ctx   context.Context
	end   context.CancelFunc
	token int64

	mu    sync.Mutex
	until time.Time
}

func newLease(t *testing.T, token int64, valid time.Duration) *lease {
	ctx, end := context.WithCancel(context.Background())
	t.Cleanup(end)
	return &lease{ctx: ctx, end: end, token: token, until: time.Now().Add(valid)}
}

func (l *lease) Context() context.Context { return l.ctx }
func (l *lease) Token() int64             { return l.token }
func (l *lease) Slot() int                { return 3 }

func (l *lease) ValidUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

func (l *lease) extend(valid time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(valid)
}

func TestHistoryRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		h := checker.NewHistory()
		ask := func() *checker.Attempt {
			return h.Ask(checker.Request{Name: "a", Client: "c", Kind: checker.Exclusive})
		}

		released, lost, refused, open := ask(), ask(), ask(), ask()
		time.Sleep(time.Second)
		l := newLease(t, 1, time.Minute)
		released.Granted(l)
		time.Sleep(time.Second)
		l.extend(time.Minute)
		released.Released()
		l.end()

		l2 := newLease(t, 2, time.Minute)
		lost.Granted(l2)
		time.Sleep(time.Second)
		l2.end()
		synctest.Wait()
		time.Sleep(time.Second)
		lost.Released()

		refused.GaveUp()

		l4 := newLease(t, 4, time.Second)
		open.Granted(l4)
		l4.extend(time.Hour)

		want := []checker.Claim{
			{Token: 1, Asked: start, Granted: start.Add(time.Second), Released: start.Add(2 * time.Second), ValidUntil: start.Add(62 * time.Second), Slot: 3},
			{Token: 2, Asked: start, Granted: start.Add(2 * time.Second), Lost: start.Add(3 * time.Second), ValidUntil: start.Add(62 * time.Second), Slot: 3},
			{Asked: start, GaveUp: start.Add(4 * time.Second), Slot: checker.NoSlot},
			{Token: 4, Asked: start, Granted: start.Add(4 * time.Second), ValidUntil: start.Add(4*time.Second + time.Hour), Slot: 3},
		}
		for i, c := range h.Claims() {
			want[i].Name, want[i].Client, want[i].Kind = "a", "c", checker.Exclusive
			if c.String() != want[i].String() {
				t.Errorf("claim %d: got\n%v, want\n%v", i, c, want[i])
			}
		}
		if err := h.Check(nil); err != nil {
			t.Errorf("got %v, want a clean history", err)
		}
	})
}

func TestLossNoticedLateEndsAtDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := checker.NewHistory()
		a := h.Ask(checker.Request{Name: "a", Kind: checker.Exclusive})
		l := newLease(t, 1, time.Second)
		a.Granted(l)
		until := l.ValidUntil()
		time.Sleep(3 * time.Second)
		l.end()
		synctest.Wait()
		if got := h.Claims()[0].End(); !got.Equal(until) {
			t.Errorf("got end %v, want the deadline %v", got, until)
		}
	})
}

func TestPendingWaitIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := checker.NewHistory()
		h.Ask(checker.Request{Name: "a", Kind: checker.Exclusive})
		time.Sleep(2 * time.Second)
		if err := h.Check(&checker.Rules{MaxWait: time.Second}); err == nil {
			t.Error("got a clean history, want the wait that goes on")
		}
		if err := h.Check(&checker.Rules{MaxWait: 3 * time.Second}); err != nil {
			t.Errorf("got %v, want a clean history", err)
		}
	})
}

func TestClaimsTravelAsJSON(t *testing.T) {
	first, second := held(checker.Exclusive, 0, 10, 41), held(checker.Exclusive, 9, 20, 42)
	h := checker.NewHistoryAt(func() time.Time { return at(100) })
	for _, c := range []checker.Claim{first, second} {
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back checker.Claim
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if back.String() != c.String() {
			t.Errorf("got %v, want %v", back, c)
		}
		h.Add(back)
	}
	if got := violations(t, h.Check(nil)); len(got) != 1 || got[0].Rule != checker.RuleExclusion {
		t.Errorf("got %v, want the overlap", got)
	}
}

func TestConcurrentRecording(t *testing.T) {
	h := checker.NewHistory()
	var mu sync.Mutex
	var wg sync.WaitGroup
	token := int64(0)
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				a := h.Ask(checker.Request{Name: "a", Client: fmt.Sprint(i), Kind: checker.Exclusive})
				mu.Lock()
				token++
				l := newLease(t, token, time.Minute)
				a.Granted(l)
				a.Released()
				mu.Unlock()
				l.end()
			}
		})
	}
	wg.Wait()
	if n := len(h.Claims()); n != 800 {
		t.Errorf("got %d claims, want 800", n)
	}
	if err := h.Check(nil); err != nil {
		t.Errorf("got %v, want a clean history", err)
	}
}
