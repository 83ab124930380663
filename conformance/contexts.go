package conformance

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redlatch/redlatch/internal/proxy"
)

const (
	contextRule = "the context goes to the client; when it ends, the call comes back as soon as the client lets it, and at the latest within the client's own timeouts (Options.MaxOverrun)"
	stepRule    = "a call's result is the answer to that call, also after an earlier one was given up before its answer came"
)

var contextChecks = []check{
	{name: "Deadline", rule: contextRule, proxied: true, run: deadline},
	{name: "Cancel", rule: contextRule, proxied: true, run: cancelled},
	{name: "LateReply", rule: stepRule, proxied: true, run: lateReply},
	{name: "EndedContext", rule: contextRule, run: endedContext},
}

// warm makes a call, so that the client has a connection that is known to work.
func (c *trial) warm() {
	c.want("a first call", c.run(c.ways("return {5}")[0], []string{c.prefix}, nil), 5)
	c.want("a first call", c.run(c.ways("return {5}")[1], []string{c.prefix}, nil), 5)
}

// awaitProxy waits until the proxy has counted what ok wants.
func (c *trial) awaitProxy(what string, ok func(proxy.Stats) bool) {
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	if err := c.proxy.Await(ctx, ok); err != nil {
		c.fatalf("the proxy has not seen %s: %v", what, err)
	}
}

// reached counts what shows a proxy that a call has been made.
func reached(s proxy.Stats) int { return s.Requests + s.Accepted }

// inFlight starts both ways of source on a server whose replies are stalled and
// returns when one is on its way.
func (c *trial) inFlight(ctx context.Context, source string, keys, args []string) []<-chan answer {
	c.proxy.Stall(proxy.Replies)
	var results []<-chan answer
	c.underWay(reached, func() {
		for _, w := range c.ways(source) {
			results = append(results, c.start(ctx, w, keys, args))
		}
	})
	return results
}

// allBack says whether each of results has come and has not been taken.
func allBack(results []<-chan answer) bool {
	return !slices.ContainsFunc(results, func(r <-chan answer) bool { return len(r) == 0 })
}

// runOut starts n calls of source, by both ways in turn, on a server whose replies are
// stalled. Their context ends after limit, and it returns when the proxy has something of
// them. On a slow machine the context may end before anything is sent: then it does so
// again, with twice the limit. It also returns the limit.
func (c *trial) runOut(n int, limit time.Duration, source string, args ...string) (context.Context, time.Duration, []<-chan answer) {
	ways, before := c.ways(source), reached(c.proxy.Stats())
	for {
		ctx, cancel := context.WithTimeout(c.ctx, limit)
		c.atEnd(cancel)
		var results []<-chan answer
		for i := range n {
			results = append(results, c.start(ctx, ways[i%2], []string{c.prefix}, args))
		}
		sent := false
		c.until("a call that the proxy sees, or the return of all,", func() bool {
			sent = reached(c.proxy.Stats()) > before
			return sent || allBack(results)
		})
		if sent {
			return ctx, limit, results
		}
		for i, result := range results {
			c.wantError(fmt.Sprintf("call %d, whose context ended before it was sent,", i+1), <-result)
		}
		if limit *= 2; limit > callTime() {
			c.fatalf("the proxy has not seen a call, although the last ones had %v", limit/2)
		}
	}
}

func deadline(c *trial) {
	c.warm()
	c.proxy.Stall(proxy.Replies)
	_, limit, results := c.runOut(2, 150*time.Millisecond, "return {6}")
	for i, result := range results {
		what := fmt.Sprintf("the return of call %d, whose context had a deadline of %v and whose answer is held back,", i+1, limit)
		c.wantError(what, wait(c, result, limit+c.overrun, what))
	}
	c.proxy.Resume()
	c.recovers("a call that ran into its deadline")
}

func cancelled(c *trial) {
	c.warm()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	results := c.inFlight(ctx, "return {6}", []string{c.prefix}, nil)
	cancel()
	for i, result := range results {
		what := fmt.Sprintf("the return of call %d, which was cancelled and whose answer is held back,", i+1)
		c.wantError(what, wait(c, result, c.overrun, what))
	}
	c.proxy.Resume()
	c.recovers("a cancelled call")
}

// lateReply gives calls up and lets their answers come while others are made. Those may
// fail with the connection that they share with one that has not come back, which takes
// some time on a slow machine, and the first ones later with what it has left.
func lateReply(c *trial) {
	c.warm()
	source := "return {tonumber(ARGV[1])}"
	for round := range 3 {
		c.proxy.Stall(proxy.Replies)
		ctx, _, given := c.runOut(2, 20*time.Millisecond, source, "-1")
		<-ctx.Done()
		// A client that cannot let go has its answer now.
		c.proxy.Resume()
		settled := false // all that were given up had been back before the last calls
		for i := range 20 {
			n, back := round*100+i, allBack(given)
			for _, w := range c.ways(source) {
				got := c.run(w, []string{c.prefix}, []string{strconv.Itoa(n)})
				if got.err == nil {
					c.want(w.name+" after a call that was given up", got, int64(n))
				} else if settled {
					c.errorf("%s %d after a call that was given up: got %v, want an answer", w.name, i+1, got)
				}
			}
			settled = back
		}
		for _, result := range given {
			if got := wait(c, result, c.overrun, "the return of a call that was given up"); got.err == nil {
				c.want("a call that was given up but came back with an answer", got, -1)
			}
		}
		c.recovers("a call that was given up")
	}
}

func endedContext(c *trial) {
	c.warm()
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	for _, w := range c.ways("return {6}") {
		what := w.name + " with a context that has ended"
		got := wait(c, c.start(ctx, w, []string{c.prefix}, nil), c.overrun, what)
		if got.err != nil {
			c.wantError(what, got)
		} else {
			c.want(what, got, 6)
		}
	}
	c.recovers("a call with a context that had ended")
}
