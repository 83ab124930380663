package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/internal/claim"
)

// limit hands out the contexts that end calls. Calls that begin close together share
// one, which costs them no timer: it ends a little later than the window of each.
type limit struct {
	mu       sync.Mutex
	shared   context.Context
	cancel   context.CancelFunc // of shared; the calls of earlier ones go on
	deadline time.Time
}

// from returns a context that ends after the window, or up to a 32nd of it later.
func (l *limit) from(now time.Time, window time.Duration) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end := now.Add(window); l.shared == nil || l.deadline.Before(end) {
		l.deadline = end.Add(window / 32)
		l.shared, l.cancel = context.WithDeadline(context.Background(), l.deadline)
	}
	return l.shared
}

// close ends the context that is handed out at present.
func (l *limit) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel()
		l.shared, l.cancel = nil, nil
	}
}

// CallContext is what a call gets: the end of one context, the values of another.
type CallContext struct {
	end    context.Context
	values claim.Values
	left   *atomic.Bool // nobody waits for the call any more; nil: until its end somebody may
}

// Limited returns the context for a call that begins now, and has the window; left says that
// nobody waits for the call any more, nil that somebody may until its end.
func (s *Set) Limited(now time.Time, values claim.Values, left *atomic.Bool) CallContext {
	return CallContext{s.WindowFrom(now), values, left}
}

// WindowFrom returns a context that ends when the window has passed.
func (s *Set) WindowFrom(now time.Time) context.Context { return s.limit.from(now, s.Window) }

func (c *CallContext) Deadline() (time.Time, bool) { return c.end.Deadline() }
func (c *CallContext) Done() <-chan struct{}       { return c.end.Done() }
func (c *CallContext) Err() error                  { return c.end.Err() }

func (c *CallContext) Value(key any) any {
	if v := c.end.Value(key); v != nil { // by which package context knows its own
		return v
	}
	return c.values.Value(key)
}
