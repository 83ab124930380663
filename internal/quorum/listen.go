package quorum

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

// listener is the one subscription that a set has on a node, shared by all waiters of
// all locks. It is started by the first, reconnects by itself, and ends when nobody has
// waited for a while. What it delivers is a hint: a lost message costs a poll.
type listener struct {
	node *node
	sub  core.Subscriber // nil: the Scripter is none, and waiters poll
	live atomic.Bool     // the subscription is confirmed

	mu     sync.Mutex
	users  int
	cancel context.CancelFunc // of the one that runs
	ended  chan struct{}
	idle   *time.Timer
}

func (l *listener) init(n *node) {
	l.node = n
	l.sub, _ = n.scripter.(core.Subscriber)
}

func (l *listener) listen() {
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
		l.live.Store(false) // the one before may not have ended yet
		go l.run(ctx, l.ended)
	}
}

func (l *listener) unlisten() {
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
		l.live.Store(true)
		l.node.set.wakeAll() // a call may have been missed
	}
	for ctx.Err() == nil {
		l.subscribe(ctx, ready)
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

// mute notes that the subscription is gone, unless it is another one's by now.
func (l *listener) mute(ended chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == ended {
		l.live.Store(false)
	}
}

// subscribe returns when the subscription has ended, however that was: waiters poll
// meanwhile. See node.eval for the panic.
func (l *listener) subscribe(ctx context.Context, ready func()) {
	defer func() { _ = recover() }()
	_ = l.sub.Subscribe(ctx, l.node.set.channel(), ready, l.node.set.wake)
}

// wake wakes the waiter whose ticket was called.
func (s *Set) wake(ticket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.tickets[ticket]; w != nil {
		w.rouse()
	}
}

// wakeAll wakes every waiter that has a ticket.
func (s *Set) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.tickets {
		w.rouse()
	}
}

func (w *waiter) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
