package conformance

import (
	"context"
	"errors"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A listener is one call of Subscribe.
type listener struct {
	c         *trial
	channel   string
	cancel    context.CancelFunc
	ready     chan struct{} // gets a value each time ready is called
	messages  chan string
	returned  chan error
	delivers  atomic.Int32 // under way
	overlap   atomic.Bool
	afterward atomic.Bool // something was called after the return
	over      atomic.Bool
}

const subscribeLabel = "redlatch-conformance-subscribe"

// listen calls Subscribe in a goroutine of its own.
func (c *trial) listen(ctx context.Context, channel string) *listener {
	hold := make(chan struct{})
	close(hold)
	return c.listenHolding(ctx, channel, hold)
}

// listenHolding is listen with a ready that returns only when hold is closed.
func (c *trial) listenHolding(ctx context.Context, channel string, hold <-chan struct{}) *listener {
	sub, ok := c.s.(core.Subscriber)
	if !ok {
		c.skipf("the Scripter is no core.Subscriber, which is optional: waiters poll")
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &listener{
		c: c, channel: channel, cancel: cancel,
		ready: make(chan struct{}, 100), messages: make(chan string, 10_000), returned: make(chan error, 1),
	}
	ready := func() {
		l.afterward.CompareAndSwap(false, l.over.Load())
		l.ready <- struct{}{}
		select {
		case <-hold:
		case <-c.ctx.Done():
		}
	}
	deliver := func(payload string) {
		l.afterward.CompareAndSwap(false, l.over.Load())
		if l.delivers.Add(1) > 1 {
			l.overlap.Store(true)
		}
		l.messages <- payload
		l.delivers.Add(-1)
	}
	go pprof.Do(label(c.tag), pprof.Labels(subscribeLabel, c.tag), func(context.Context) {
		err := sub.Subscribe(ctx, channel, ready, deliver)
		l.over.Store(true)
		l.returned <- err
	})
	return l
}

// subscribed calls Subscribe and waits until it is ready.
func (c *trial) subscribed(channel string) *listener {
	l := c.listen(c.ctx, channel)
	l.awaitReady()
	return l
}

func (l *listener) awaitReady() {
	if ready, err := l.begun(); !ready {
		l.c.fatalf("Subscribe has returned before it was ready: got %v, want a subscription", err)
	}
}

// begun returns true when Subscribe has called ready, or what it returned instead.
func (l *listener) begun() (ready bool, err error) {
	select {
	case <-l.ready:
		return true, nil
	case err := <-l.returned:
		if len(l.ready) == 0 {
			return false, err
		}
		<-l.ready
		l.returned <- err
		return true, nil
	case <-time.After(callTime()):
		l.c.fatalf("Subscribe has not called ready after %v", callTime())
	}
	panic("unreachable")
}

// next waits for a message and reports one that is not want.
func (l *listener) next(want string) {
	select {
	case got := <-l.messages:
		if got != want {
			l.c.errorf("channel %q: got the message %q, want %q", l.channel, got, want)
		}
	case err := <-l.returned:
		l.c.fatalf("Subscribe has returned: got %v, want the message %q", err, want)
	case <-time.After(callTime()):
		l.c.fatalf("channel %q: no message after %v, want %q", l.channel, callTime(), want)
	}
}

// result waits for the return and reports what broke a rule on the way.
func (l *listener) result(what string) error {
	err := wait(l.c, l.returned, l.c.overrun, "the return of Subscribe "+what)
	select {
	case <-l.ready:
		l.c.errorf("Subscribe has called ready more than once: %s", readyRule)
	default:
	}
	if len(l.messages) > 0 {
		l.c.errorf("channel %q: got the message %q, want none: %s", l.channel, <-l.messages, deliverRule)
	}
	if l.overlap.Load() {
		l.c.errorf("Subscribe has called deliver while another call of it was under way: %s", deliverRule)
	}
	if l.afterward.Load() {
		l.c.errorf("Subscribe has called ready or deliver after it had returned: %s", endRule)
	}
	return err
}

// end cancels the subscription and checks how it ends.
func (l *listener) end() {
	l.cancel()
	if err := l.result("after its context was cancelled"); !errors.Is(err, context.Canceled) {
		l.c.errorf("Subscribe after its context was cancelled: got %v, want %v", err, context.Canceled)
	}
}

// publish sends payload past any proxy and returns how many received it.
func (c *trial) publish(channel, payload string) int64 {
	got := c.on(c.side).mustEval(publish, []string{c.prefix}, []string{channel, payload})
	if len(got) != 1 {
		c.fatalf("a script that answers what PUBLISH did: got %v, want one integer", got)
	}
	return got[0]
}
