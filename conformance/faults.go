package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/redlatch/redlatch/internal/proxy"
)

const (
	brokenRule  = "a call whose connection breaks before the reply is an error; if the client sends it again by itself, its result is that run's answer; never a zero"
	recoverRule = "a connection that broke is not used again: the client's next calls reach the server once it can be reached"
	staleRule   = "a connection that broke before a call does not cost that call: after all idle connections were closed at most one call fails"
	latencyRule = "a slow answer is an answer"
)

var faultChecks = []check{
	{name: "StalledServer", rule: contextRule, proxied: true, run: stalledServer},
	{name: "Restart", rule: recoverRule, proxied: true, run: restart},
	{name: "CutConnection", rule: brokenRule, proxied: true, run: cutConnection},
	{name: "CutIdleConnection", rule: recoverRule, proxied: true, run: cutIdle},
	{name: "StaleConnections", rule: staleRule, proxied: true, run: stale},
	{name: "LostReply", rule: brokenRule, proxied: true, run: lostReply},
	{name: "DoubleDelivery", rule: "a script may be run twice for one call, whose result is the answer of one of the runs", proxied: true, run: doubleDelivery},
	{name: "SlowServer", rule: latencyRule, proxied: true, run: slowServer},
}

// wantCounted accepts, from a call of countUp during a fault, an error, or the
// answer of one of the runs that the server has done.
func (c *trial) wantCounted(what string, got answer, key string) {
	if got.err != nil {
		c.wantError(what, got)
		return
	}
	runs := c.count(key)
	if len(got.values) != 1 || got.values[0] < 1 || got.values[0] > runs {
		c.errorf("%s: got %v, want an error or one of the answers 1 to %d that the server gave", what, got, runs)
	}
}

func cutConnection(c *trial) {
	c.warm()
	key := c.key("counter")
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	c.run(c.ways(countUp)[0], []string{key}, nil) // caches the script
	results := c.inFlight(ctx, countUp, []string{key}, nil)
	if c.proxy.Cut() == 0 {
		c.fatalf("the proxy had no connection to cut")
	}
	c.proxy.Resume()
	for i, result := range results {
		what := fmt.Sprintf("call %d, whose connection was cut before its answer,", i+1)
		c.wantCounted(what, wait(c, result, callTime()+c.overrun, what), key)
	}
	c.recovers("a cut of the connection in the middle of a call")
}

func cutIdle(c *trial) {
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	for round := range 3 {
		var results []<-chan answer
		for range 5 {
			results = append(results, c.start(ctx, c.ways("return {5}")[0], []string{c.prefix}, nil))
		}
		for _, result := range results {
			got := wait(c, result, callTime()+c.overrun, "a call")
			if round == 0 || got.err == nil { // later ones may meet what the cut before has left
				c.want("a call before the cut", got, 5)
			}
		}
		c.sawTraffic()
		if c.proxy.Cut() == 0 {
			c.skipf("the client keeps no connection open between calls")
		}
		c.recovers("a cut of all idle connections")
	}
}

// stale closes all idle connections while the server is fine, as it does itself after its
// timeout, or a load balancer. A client that is told by its sockets may be a moment late,
// and pay with one call.
func stale(c *trial) {
	const calls = 16
	c.warm()
	c.proxy.Delay(20 * time.Millisecond) // all are under way at once
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	w := c.ways("return {5}")[1]
	var results []<-chan answer
	for range calls {
		results = append(results, c.start(ctx, w, []string{c.prefix}, nil))
	}
	for _, result := range results {
		c.want("a call before the cut", wait(c, result, callTime()+c.overrun, "a call"), 5)
	}
	c.proxy.Delay(0)
	if c.proxy.Cut() == 0 {
		c.skipf("the client keeps no connection open between calls")
	}
	failed, last := 0, error(nil)
	for range calls {
		if got := c.run(w, []string{c.prefix}, nil); got.err != nil {
			failed, last = failed+1, got.err
		} else {
			c.want("a call after the cut", got, 5)
		}
	}
	if failed > 1 {
		c.errorf("%d of %d calls have failed after a cut of all idle connections, the last with %q, want at most 1", failed, calls, last)
	}
}

func lostReply(c *trial) {
	c.warm()
	for _, w := range c.ways(countUp) {
		c.run(w, []string{c.key("cached")}, nil)
		key := c.key(w.name)
		before := c.proxy.Stats().Dropped
		c.proxy.DropReply()
		got := c.run(w, []string{key}, nil)
		if dropped := c.proxy.Stats().Dropped - before; dropped != 1 {
			c.fatalf("%s: the proxy has dropped %d replies, want 1", w.name, dropped)
		}
		c.wantCounted(w.name+" whose reply is lost", got, key)
		if runs := c.count(key); runs < 1 || runs > 2 {
			c.errorf("%s whose reply is lost: the server has run the script %d times, want 1, or 2 if the client sends it again", w.name, runs)
		}
		c.recovers("a lost reply")
	}
}

func doubleDelivery(c *trial) {
	c.warm()
	ways := c.ways(countUp)
	c.run(ways[0], []string{c.key("cached")}, nil)
	c.proxy.Duplicate(true)
	for _, w := range ways {
		key := c.key(w.name)
		for i := range int64(10) {
			before := c.proxy.Stats().Duplicated
			got := c.run(w, []string{key}, nil)
			c.sawTraffic()
			if c.proxy.Stats().Duplicated == before {
				c.skipf("the server refuses commands on a connection that has not authenticated, so that nothing can be delivered twice")
			}
			c.want(w.name+" that is delivered twice and adds 1 each time", got, 2*i+2)
		}
	}
}

func slowServer(c *trial) {
	c.warm()
	const delay = 100 * time.Millisecond
	c.proxy.Delay(delay)
	for _, w := range c.ways("return {6}") {
		begin := time.Now()
		c.want(w.name+" of a server that answers late", c.run(w, []string{c.prefix}, nil), 6)
		if took := time.Since(begin); took < delay {
			c.errorf("%s of a server that answers after %v has come back after %v", w.name, delay, took)
		}
	}
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	var results []<-chan answer
	for i := range 20 {
		results = append(results, c.start(ctx, c.ways("return {#ARGV}")[0], []string{c.prefix}, make([]string, i)))
	}
	for i, result := range results {
		what := fmt.Sprintf("call %d of 20 at the same time, of a server that answers late,", i+1)
		c.want(what, wait(c, result, callTime()+c.overrun, what), int64(i))
	}
}

// stalledServer has a server that takes connections and requests and says nothing.
func stalledServer(c *trial) {
	c.warm()
	c.proxy.Stall(proxy.Both)
	_, limit, results := c.runOut(16, 150*time.Millisecond, "return {6}")
	for i, result := range results {
		what := fmt.Sprintf("the return of call %d of 16, whose contexts had a deadline of %v, from a server that says nothing,", i+1, limit)
		c.wantError(what, wait(c, result, limit+c.overrun, what))
	}
	c.proxy.Resume()
	c.recovers("a stall of the server")
}

// restart looks to the client as a server that goes away and comes back.
func restart(c *trial) {
	c.warm()
	c.proxy.Refuse()
	c.proxy.Cut()
	for i := 1; c.proxy.Stats().Refused == 0; i++ {
		ctx, cancel := context.WithTimeout(c.ctx, time.Second)
		what := fmt.Sprintf("call %d while the server cannot be reached", i)
		got := wait(c, c.start(ctx, c.ways("return {6}")[0], []string{c.prefix}, nil), time.Second+c.overrun, what)
		cancel()
		c.wantError(what, got)
		if i == 20 && c.proxy.Stats().Refused == 0 {
			c.fatalf("20 calls after its connections were cut the client has not tried to connect: %+v", c.proxy.Stats())
		}
	}
	c.proxy.Accept()
	c.recovers("a restart of the server")
}
