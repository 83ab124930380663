package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/random"
)

// linger is how long a subscription outlasts its last waiter.
const linger = time.Second

// Tolerance, and four round trips, is how long after a call its message may come.
const Tolerance = 50 * time.Millisecond

// doubtPause is the time from one doubt in a subscription to the next, doubled with each
// that brought no message.
const doubtPause = time.Second

// listener is the one subscription that a set has on a node, shared by all waiters of
// all locks. It is started by the first, reconnects by itself, and ends when nobody has
// waited for a while. What it delivers is a hint: a lost message costs a poll.
type listener struct {
	node *Node
	sub  core.Subscriber // nil: the Scripter is none, and waiters poll
	Live atomic.Bool     // the subscription is confirmed and believed

	mu     sync.Mutex
	users  int
	cancel context.CancelFunc // of the one that runs
	ended  chan struct{}
	idle   *time.Timer

	since   time.Time          // when the subscription was confirmed; zero: it is not
	renew   context.CancelFunc // ends the subscription, and a new one follows
	doubted int                // how many times, since the last message
	doubt   time.Time          // when it may be doubted again
}

func (l *listener) init(n *Node) {
	l.node = n
	l.sub, _ = n.scripter.(core.Subscriber)
}

// Listen counts a waiter in, and subscribes for the first.
func (l *listener) Listen() {
	if l.sub == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
	if l.idle != nil {
		l.idle.Stop()
	}
	if l.cancel == nil {
		ctx, cancel := context.WithCancel(context.Background())
		l.cancel, l.ended = cancel, make(chan struct{})
		l.Live.Store(false) // the one before may not have ended yet
		l.since = time.Time{}
		go l.run(ctx, l.ended)
	}
}

// Unlisten counts a waiter out; the subscription outlasts the last by a while.
func (l *listener) Unlisten() {
	if l.sub == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users > 0 || l.cancel == nil {
		return
	}
	l.idle = time.AfterFunc(linger, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.users == 0 {
			l.quit()
		}
	})
}

// quit ends the subscription that runs.
func (l *listener) quit() {
	if l.cancel != nil {
		l.cancel()
		l.cancel = nil
	}
}

// stop ends the subscription and waits for that, at most until ctx ends.
func (l *listener) stop(ctx context.Context) {
	l.mu.Lock()
	if l.idle != nil {
		l.idle.Stop()
	}
	l.quit()
	ended := l.ended
	l.mu.Unlock()
	if ended == nil {
		return
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

func (l *listener) run(ctx context.Context, ended chan struct{}) {
	defer close(ended)
	backoff := time.Duration(0)
	ready := func() {
		backoff = 0
		l.confirm()
		l.node.Set.Ready() // a call may have been missed
	}
	for ctx.Err() == nil {
		inner, cancel := context.WithCancel(ctx)
		l.mu.Lock()
		l.renew = cancel
		l.mu.Unlock()
		l.subscribe(inner, ready)
		cancel()
		l.mute(ended)
		backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
		timer := time.NewTimer(random.Around(backoff))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// confirm notes that the subscription is confirmed. The one that follows a doubt is believed
// once; after that only a message shows that it hears.
func (l *listener) confirm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Now()
	l.Live.Store(l.doubted < 2)
}

// hear takes a message.
func (l *listener) hear(ticket string) {
	l.mu.Lock()
	if l.doubted > 0 {
		l.doubted = 0
		l.Live.Store(!l.since.IsZero())
	}
	l.mu.Unlock()
	l.node.Set.Hear(ticket)
}

// Deaf takes the news that a ticket was called and its waiter, who slept since the
// subscription was confirmed, was not told. The subscription hears nothing: as after a
// failover, when the old primary still serves it. A new one takes its place, at most once
// in doubtPause, and after longer where no message comes: the server may forbid to publish.
func (l *listener) Deaf() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.since.IsZero() || now.Before(l.doubt) {
		return
	}
	l.doubt = now.Add(doubtPause << min(l.doubted, 6))
	l.doubted++
	l.Live.Store(false)
	l.renew()
}

// mute notes that the subscription is gone, unless it is another one's by now.
func (l *listener) mute(ended chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == ended {
		l.Live.Store(false)
		l.since = time.Time{}
	}
}

// subscribe returns when the subscription has ended, however that was: waiters poll
// meanwhile. See Node.eval for the panic.
func (l *listener) subscribe(ctx context.Context, ready func()) {
	defer func() { _ = recover() }()
	_ = l.sub.Subscribe(ctx, l.node.Set.Channel(), ready, l.hear)
}

// Channel is where this process's waiters are called: one for a set of nodes.
func (s *Set) Channel() string { return s.Opt.KeyPrefix + "redlatch:" + s.id }
