package conformance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redlatch/redlatch/internal/proxy"
)

const (
	readyRule   = "Subscribe calls ready once the server has confirmed the subscription, and once only"
	deliverRule = "Subscribe calls deliver with each message's payload, after ready, one at a time and in order; it must not invent any"
	endRule     = "Subscribe returns when ctx ends, with ctx.Err(); the connection is closed or free of the subscription and no goroutine is left"
	goneRule    = "Subscribe returns when the connection is gone, with an error; it does not reconnect, nor does it let the client do so unseen"
	besideRule  = "Subscribe listens on one connection of its own"
)

var subscribeChecks = []check{
	{name: "SubscribeReady", rule: readyRule, run: subscribeReady},
	{name: "SubscribeReadyLate", rule: readyRule, proxied: true, run: subscribeReadyLate},
	{name: "SubscribeReadyFirst", rule: deliverRule, run: subscribeReadyFirst},
	{name: "SubscribeOrder", rule: deliverRule, run: subscribeOrder},
	{name: "SubscribePayloads", rule: deliverRule, run: subscribePayloads},
	{name: "SubscribeChannels", rule: deliverRule, run: subscribeChannels},
	{name: "SubscribeCancel", rule: endRule, run: subscribeCancel},
	{name: "SubscribeDeadline", rule: endRule, run: subscribeDeadline},
	{name: "SubscribeEndedContext", rule: endRule, run: subscribeEnded},
	{name: "SubscribeStalled", rule: endRule, proxied: true, run: subscribeStalled},
	{name: "SubscribeLeavesNothing", rule: endRule, run: subscribeLeavesNothing},
	{name: "SubscribeCut", rule: goneRule, proxied: true, run: subscribeCut},
	{name: "SubscribeUnreachable", rule: goneRule, proxied: true, run: subscribeUnreachable},
	{name: "SubscribeIndependent", rule: besideRule, run: subscribeIndependent},
	{name: "SubscribeBesideCalls", rule: besideRule, run: subscribeBesideCalls},
}

func subscribeReady(c *trial) {
	for i := range 20 {
		channel := fmt.Sprint(c.prefix, i)
		l := c.subscribed(channel)
		c.publish(channel, "first")
		l.next("first")
		l.end()
	}
}

// subscribeReadyLate holds the server's confirmation back.
func subscribeReadyLate(c *trial) {
	c.warm()
	c.proxy.Stall(proxy.Replies)
	before := c.proxy.Stats()
	l := c.listen(c.ctx, c.prefix)
	c.awaitProxy("Subscribe", func(now proxy.Stats) bool { return now.Requests > before.Requests })
	select {
	case <-l.ready:
		c.errorf("Subscribe has called ready although nothing has come back from the server")
	case <-time.After(100 * time.Millisecond): // a right one can only pass
	}
	c.proxy.Resume()
	l.awaitReady()
	c.publish(c.prefix, "after")
	l.next("after")
	l.end()
}

// subscribeReadyFirst holds ready back while a message comes: redlatch asks once more in
// ready, and takes what is delivered from then on for news.
func subscribeReadyFirst(c *trial) {
	hold := make(chan struct{})
	l := c.listenHolding(c.ctx, c.prefix, hold)
	l.awaitReady()
	c.publish(c.prefix, "first")
	select {
	case <-l.messages:
		close(hold)
		c.fatalf("Subscribe has called deliver before ready had returned")
	case <-time.After(100 * time.Millisecond): // a right one can only pass
	}
	close(hold)
	l.next("first")
	l.end()
}

func subscribeOrder(c *trial) {
	l := c.subscribed(c.prefix)
	source := "for i = 1, 500 do redis.call('PUBLISH', ARGV[1], i) end return {500}"
	for range 2 {
		c.on(c.side).mustEval(source, []string{c.prefix}, []string{c.prefix})
		for i := range 500 {
			l.next(strconv.Itoa(i + 1))
		}
	}
	l.end()
}

func subscribePayloads(c *trial) {
	l := c.subscribed(c.prefix)
	for _, payload := range append(odd(), megabyte()) {
		c.publish(c.prefix, payload)
		select {
		case got := <-l.messages:
			if got != payload {
				c.errorf("a message: %s", unlike(got, payload))
			}
		case <-time.After(callTime()):
			c.fatalf("no message after %v, want %.100q", callTime(), payload)
		}
	}
	l.end()
}

// subscribeChannels has names that only match themselves.
func subscribeChannels(c *trial) {
	for _, name := range []string{"*", "a?c", "[ab]", `a\*`, "\r\n", "\x00\xff", " a ", "{}"} {
		channel := c.prefix + name
		l := c.subscribed(channel)
		for _, other := range []string{"x", "abc", "a", "a*", " a", ""} {
			c.publish(c.prefix+other, "of another channel")
		}
		c.publish(channel, name)
		l.next(name)
		l.end()
	}
}

func subscribeCancel(c *trial) {
	l := c.subscribed(c.prefix)
	c.publish(c.prefix, "heard")
	l.next("heard")
	l.end()
	for deadline := time.Now().Add(leftTime()); c.publish(c.prefix, "unheard") > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.fatalf("%v after Subscribe has returned its channel still has a receiver", leftTime())
		}
	}
}

func subscribeDeadline(c *trial) {
	for limit := 300 * time.Millisecond; limit < callTime(); limit *= 2 {
		ctx, cancel := context.WithTimeout(c.ctx, limit)
		c.atEnd(cancel)
		l := c.listen(ctx, c.prefix)
		ready, err := l.begun()
		if ready {
			<-ctx.Done()
			err = l.result("after its deadline")
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			c.errorf("Subscribe after its deadline: got %v, want %v", err, context.DeadlineExceeded)
		}
		if ready {
			return
		}
		// A slow machine has had no time to subscribe.
	}
	c.errorf("Subscribe has not called ready before its deadline, which was %v at the end", callTime())
}

func subscribeEnded(c *trial) {
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	l := c.listen(ctx, c.prefix)
	err := wait(c, l.returned, c.overrun, "the return of Subscribe with a context that has ended")
	if !errors.Is(err, context.Canceled) {
		c.errorf("Subscribe with a context that has ended: got %v, want %v", err, context.Canceled)
	}
}

func subscribeStalled(c *trial) {
	l := c.subscribed(c.prefix)
	c.proxy.Stall(proxy.Both)
	l.end()
	c.proxy.Resume()
	again := c.subscribed(c.prefix)
	again.end()
}

// subscribeLeavesNothing subscribes many times: a client may keep a connection
// and its goroutines, but not one for each time.
func subscribeLeavesNothing(c *trial) {
	c.warm()
	const rounds = 20
	for range rounds {
		c.subscribed(c.prefix).end()
	}
	var stacks []string
	n := 0
	for deadline := time.Now().Add(leftTime()); ; time.Sleep(10 * time.Millisecond) {
		if n, stacks = labelled(subscribeLabel, c.tag); n < rounds/2 {
			return
		} else if time.Now().After(deadline) {
			break
		}
	}
	c.errorf("after %d calls of Subscribe have returned, %d goroutines are left, want none:\n%s", rounds, n, strings.Join(stacks, "\n"))
}

func subscribeCut(c *trial) {
	for range 3 {
		l := c.subscribed(c.prefix)
		c.publish(c.prefix, "heard")
		l.next("heard")
		if c.proxy.Cut() == 0 {
			c.fatalf("the proxy had no connection to cut")
		}
		err := l.result("after its connection was cut")
		if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			c.errorf("Subscribe after its connection was cut: got %v, want an error that says so", err)
		}
		l.cancel()
	}
	c.recovers("a cut of a subscription")
}

func subscribeUnreachable(c *trial) {
	c.warm()
	c.proxy.Refuse()
	c.proxy.Cut()
	ctx, cancel := context.WithTimeout(c.ctx, time.Second)
	defer cancel()
	l := c.listen(ctx, c.prefix)
	if err := wait(c, l.returned, time.Second+c.overrun, "the return of Subscribe, with the server unreachable,"); err == nil {
		c.errorf("Subscribe with the server unreachable: got no error, want one")
	}
	if len(l.ready) > 0 {
		c.errorf("Subscribe with the server unreachable has called ready")
	}
	c.proxy.Accept()
	c.recovers("a restart of the server")
	c.subscribed(c.prefix).end()
}

func subscribeIndependent(c *trial) {
	one, other := c.prefix+"one", c.prefix+"other"
	a, b, twin := c.subscribed(one), c.subscribed(other), c.subscribed(one)
	for i := range 10 {
		c.publish(one, fmt.Sprint("one", i))
		c.publish(other, fmt.Sprint("other", i))
		a.next(fmt.Sprint("one", i))
		twin.next(fmt.Sprint("one", i))
		b.next(fmt.Sprint("other", i))
	}
	a.end()
	c.publish(one, "last one")
	c.publish(other, "last other")
	twin.next("last one")
	b.next("last other")
	twin.end()
	b.end()
}

func subscribeBesideCalls(c *trial) {
	l := c.subscribed(c.prefix)
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	var results []<-chan answer
	for i := range 50 {
		payload := strconv.Itoa(i)
		results = append(results, c.start(ctx, c.ways(echo)[0], []string{c.prefix}, []string{payload}))
		c.publish(c.prefix, payload)
		l.next(payload)
	}
	for i, result := range results {
		what := fmt.Sprintf("call %d beside a subscription", i+1)
		c.wantHeard(what, wait(c, result, callTime()+c.overrun, what), []string{c.prefix}, []string{strconv.Itoa(i)})
	}
	l.end()
}
