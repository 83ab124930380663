package clients

import (
	"context"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
)

// Kinds of locks, as they are called in keys.
const (
	Mutex     = "mutex"
	RW        = "rw"
	Semaphore = "semaphore"
)

// Line returns what counts the tickets in the queue of the lock of that kind and name, on
// the node where most stand. The nodes of a cluster that do not have the queue count as
// empty.
func (s *Site) Line(tb testing.TB, kind, name string) func() int {
	tb.Helper()
	queue := keys.Siblings(s.Key(name), kind+":queue")[0]
	ctx := context.WithoutCancel(tb.Context())
	nodes := s.Plain(tb)
	return func() (most int) {
		for _, c := range nodes {
			most = max(most, int(c.ZCard(ctx, queue).Val()))
		}
		return most
	}
}

// Queued waits until n tickets stand in that queue.
func (s *Site) Queued(tb testing.TB, kind, name string, n int) {
	tb.Helper()
	Stand(tb, n, s.Line(tb, kind, name))
}

// Stand waits until n tickets stand in the longest of the lines.
func Stand(tb testing.TB, n int, lines ...func() int) {
	tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		most := 0
		for _, line := range lines {
			most = max(most, line())
		}
		if most == n {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("got %d tickets in line, want %d", most, n)
		}
		time.Sleep(time.Millisecond)
	}
}

// Readers waits until each live node has n readers of the reader-writer lock of that name.
func (s *Site) Readers(tb testing.TB, name string, n int) {
	tb.Helper()
	set := keys.Siblings(s.Key(name), RW+":readers")[0]
	ctx := context.WithoutCancel(tb.Context())
	for i, c := range s.Plain(tb) {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			got := c.ZCard(ctx, set).Val()
			if got == int64(n) {
				break
			}
			if time.Now().After(deadline) {
				tb.Fatalf("node %d: got %d readers of %q, want %d", i, got, name, n)
			}
		}
	}
}

// A Pending is a call under way that waits for a lock.
type Pending struct {
	tb     testing.TB
	cancel context.CancelFunc
	done   chan struct{}
	lease  *core.Lease
	err    error
}

// Wait calls lock in a goroutine of its own.
func Wait(tb testing.TB, lock func(context.Context) (*core.Lease, error)) *Pending {
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	p := &Pending{tb: tb, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.lease, p.err = lock(ctx)
	}()
	tb.Cleanup(func() {
		cancel()
		<-p.done
	})
	return p
}

// Cancel ends the call's context.
func (p *Pending) Cancel() { p.cancel() }

// Done reports whether the call has returned.
func (p *Pending) Done() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Result waits for the call to return and returns what it did.
func (p *Pending) Result() (*core.Lease, error) {
	<-p.done
	return p.lease, p.err
}

// Lease waits for the call to return a lease within d, or ends the test.
func (p *Pending) Lease(d time.Duration) *core.Lease {
	p.tb.Helper()
	select {
	case <-p.done:
	case <-time.After(d):
		p.tb.Fatalf("no lease within %v", d)
	}
	if p.err != nil {
		p.tb.Fatal(p.err)
	}
	return p.lease
}
