package conformance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A caller makes calls on one Scripter in a case, none of which it waits for
// without limit.
type caller struct {
	c *trial
	s core.Scripter
}

// A way is one of the two methods of a Scripter, bound to a script.
type way struct {
	name string
	call func(ctx context.Context, keys, args []string) ([]int64, error)
}

// ways returns the two ways to run source. Eval comes first, after which the
// script is cached for EvalSha.
func (c caller) ways(source string) []way {
	sum := sha1hex(source)
	return []way{
		{"Eval", func(ctx context.Context, keys, args []string) ([]int64, error) {
			return c.s.Eval(ctx, source, keys, args)
		}},
		{"EvalSha", func(ctx context.Context, keys, args []string) ([]int64, error) {
			return c.s.EvalSha(ctx, sum, keys, args)
		}},
	}
}

// An answer is what a call returned.
type answer struct {
	values []int64
	err    error
}

func (a answer) String() string {
	if a.err != nil {
		return fmt.Sprintf("%v, error %q", brief(a.values), a.err)
	}
	return fmt.Sprintf("%v, nil", brief(a.values))
}

// shown is how many integers of an answer a message has.
const shown = 40

// brief keeps a message readable.
func brief(values []int64) string {
	if len(values) > shown {
		return fmt.Sprintf("%v... (%d integers)", values[:shown], len(values))
	}
	return fmt.Sprint(values)
}

// callTime is the deadline of a call in which nothing is meant to go wrong.
func callTime() time.Duration { return patience / 4 }

// wait returns what comes from result. It ends the case if that takes longer than
// limit, and says so with what.
func wait[T any](c *trial, result <-chan T, limit time.Duration, what string) T {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case got := <-result:
		return got
	case <-timer.C:
	case <-c.ctx.Done():
	}
	c.fatalf("%s has not come after %v", what, limit)
	panic("unreachable")
}

// start makes a call in a goroutine of its own, as redlatch does.
func (c caller) start(ctx context.Context, w way, keys, args []string) <-chan answer {
	result := make(chan answer, 1)
	go func() {
		values, err := w.call(ctx, keys, args)
		result <- answer{values, err}
	}()
	return result
}

// run makes a call and waits for its answer.
func (c caller) run(w way, keys, args []string) answer {
	ctx, cancel := context.WithTimeout(c.c.ctx, callTime())
	defer cancel()
	return wait(c.c, c.start(ctx, w, keys, args), callTime()+c.c.overrun, w.name+"'s return")
}

// eval runs source by Eval.
func (c caller) eval(source string, keys, args []string) answer {
	return c.run(c.ways(source)[0], keys, args)
}

// mustEval runs source by Eval and ends the case if that fails.
func (c caller) mustEval(source string, keys, args []string) []int64 {
	got := c.eval(source, keys, args)
	if got.err != nil {
		c.c.fatalf("Eval of a script with nothing wrong: got %v, want no error", got)
	}
	return got.values
}

func (c *trial) start(ctx context.Context, w way, keys, args []string) <-chan answer {
	return c.on(c.s).start(ctx, w, keys, args)
}

func (c *trial) run(w way, keys, args []string) answer { return c.on(c.s).run(w, keys, args) }

func (c *trial) ways(source string) []way { return c.on(c.s).ways(source) }

// want reports an answer other than values and no error.
func (c *trial) want(what string, got answer, values ...int64) bool {
	if got.err != nil || !slices.Equal(got.values, values) {
		c.errorf("%s: got %v, want %s, nil%s", what, got, brief(values), firstDifference(got.values, values))
		return false
	}
	return true
}

// wantError reports an answer without an error, or with a result beside it.
func (c *trial) wantError(what string, got answer) bool {
	if got.err == nil || len(got.values) > 0 {
		c.errorf("%s: got %v, want no result and an error", what, got)
		return false
	}
	return true
}

// The scripts of the suite. Each that writes gives its key a TTL, for the case
// that does not get as far as deleting it.
const (
	// countUp adds 1 to KEYS[1]; answers the sum.
	countUp = `local n = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], 120000)
return {n}`

	// count answers the number in KEYS[1], 0 if there is none.
	count = `return {tonumber(redis.call('GET', KEYS[1]) or 0)}`

	// echo answers the number of keys and of arguments, and then the length and the
	// bytes of each.
	echo = `local answer = {#KEYS, #ARGV}
for _, list in ipairs({KEYS, ARGV}) do
	for _, s in ipairs(list) do
		answer[#answer + 1] = #s
		for i = 1, #s do answer[#answer + 1] = string.byte(s, i) end
	end
end
return answer`

	// publish publishes ARGV[2] on channel ARGV[1]; answers who received it on this server.
	publish = `return {redis.call('PUBLISH', ARGV[1], ARGV[2])}`
)

// count returns the number in key, read past any proxy.
func (c *trial) count(key string) int64 {
	got := c.on(c.side).mustEval(count, []string{key}, nil)
	if len(got) != 1 {
		c.fatalf("reading a counter: got %v, want one integer", got)
	}
	return got[0]
}

// recovers makes calls until one works, and ends the case if none has after limit.
func (c *trial) recovers(after string) {
	deadline := time.Now().Add(c.overrun)
	w := c.ways("return {41 + 1}")[0]
	for tries := 1; ; tries++ {
		got := c.run(w, []string{c.prefix + "recovers"}, nil)
		if got.err == nil {
			c.want("the first call that worked after "+after, got, 42)
			return
		}
		if time.Now().After(deadline) {
			c.fatalf("%v after %s calls still fail: got %v from call %d, want an answer", c.overrun, after, got, tries)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
