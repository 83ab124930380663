package conformance

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	onceRule       = "EvalSha sends EVALSHA and Eval sends EVAL, once"
	primaryRule    = "a call goes to the primary that serves keys[0], never to a replica"
	concurrentRule = "both methods are safe for concurrent use, and one call does not wait for another longer than the client's pool makes it"
	keepRule       = "the implementation must not change keys and args, and must not keep them or hand them to anything that outlives the call"
	shareRule      = "the reply slice belongs to the caller from the return on; it must not be shared with another call"
)

var callChecks = []check{
	{name: "Once", rule: onceRule, run: once},
	{name: "Primary", rule: primaryRule, run: primary},
	{name: "Concurrent", rule: concurrentRule, run: concurrent},
	{name: "ArgumentsUnchanged", rule: keepRule, run: argumentsUnchanged},
	{name: "ArgumentsNotKept", rule: keepRule, run: argumentsNotKept},
	{name: "RepliesSeparate", rule: shareRule, run: repliesSeparate},
}

func once(c *trial) {
	for _, w := range c.ways(countUp) {
		key := c.key(w.name)
		for want := range int64(20) {
			c.want(fmt.Sprintf("call %d of %s that adds 1", want+1, w.name), c.run(w, []string{key}, nil), want+1)
		}
		if got := c.count(key); got != 20 {
			c.errorf("after 20 calls of %s that add 1 the server has %d, want 20", w.name, got)
		}
	}
}

// primary writes, which a replica refuses, and reads back, which one that lags
// answers with less.
func primary(c *trial) {
	key := c.key("counter")
	write, read := c.ways(countUp), c.ways(count)
	for i := range int64(20) {
		w := i % 2
		if !c.want(write[w].name+" of a script that writes", c.run(write[w], []string{key}, nil), i+1) {
			return
		}
		c.want(read[w].name+" of a script that reads what was written", c.run(read[w], []string{key}, nil), i+1)
	}
}

// concurrent has all its calls under way at the same time, each with an answer
// that is no other's.
func concurrent(c *trial) {
	const calls = 200
	key := c.key("counter")
	source := `redis.call('INCR', KEYS[1]) redis.call('PEXPIRE', KEYS[1], 120000)
return {tonumber(ARGV[1]), #ARGV[2]}`
	ways := c.ways(source)
	c.run(ways[0], []string{key}, []string{"0", ""})
	ctx, cancel := context.WithTimeout(c.ctx, callTime())
	defer cancel()
	results := make([]<-chan answer, calls)
	for i := range results {
		args := []string{strconv.Itoa(i + 1), strings.Repeat("x", i*7)}
		results[i] = c.start(ctx, ways[i%2], []string{key}, args)
	}
	for i, result := range results {
		what := fmt.Sprintf("%s %d of %d at the same time", ways[i%2].name, i+1, calls)
		c.want(what, wait(c, result, callTime()+c.overrun, what), int64(i+1), int64(i*7))
	}
	if got := c.count(key); got != calls+1 {
		c.errorf("the server has run the script %d times, want %d", got, calls+1)
	}
}

func argumentsUnchanged(c *trial) {
	for _, w := range c.ways(echo) {
		// What lies between length and capacity is the caller's too.
		keys := append(make([]string, 0, 8), c.prefix+"a", c.prefix+"b")
		args := append(make([]string, 0, 8), "1", "two", "")
		copy(keys[2:8], []string{"k", "k", "k", "k", "k", "k"})
		copy(args[3:8], []string{"v", "v", "v", "v", "v"})
		wantKeys, wantArgs := slices.Clone(keys[:8]), slices.Clone(args[:8])
		c.wantHeard(w.name, c.run(w, keys, args), keys, args)
		if got := keys[:8]; !slices.Equal(got, wantKeys) {
			c.errorf("%s has changed keys, up to their capacity: got %q, want %q", w.name, got, wantKeys)
		}
		if got := args[:8]; !slices.Equal(got, wantArgs) {
			c.errorf("%s has changed args, up to their capacity: got %q, want %q", w.name, got, wantArgs)
		}
	}
}

// argumentsNotKept uses the same slices again with other content. With the race
// detector it also finds an implementation that still reads them.
func argumentsNotKept(c *trial) {
	for _, w := range c.ways(echo) {
		keys, args := make([]string, 2), make([]string, 3)
		for round := range 20 {
			for i := range keys {
				keys[i] = fmt.Sprint(c.prefix, round, "key", i)
			}
			for i := range args {
				args[i] = fmt.Sprint(round, "argument", i)
			}
			what := fmt.Sprintf("%s with slices used before, call %d", w.name, round+1)
			c.wantHeard(what, c.run(w, keys, args), keys, args)
		}
	}
}

func repliesSeparate(c *trial) {
	source := "local a = {} for i = 1, 8 do a[i] = tonumber(ARGV[1]) + i end return a"
	reply := func(base int64) []int64 {
		want := make([]int64, 8)
		for i := range want {
			want[i] = base + int64(i) + 1
		}
		return want
	}
	for _, w := range c.ways(source) {
		var held [][]int64
		for round := range int64(20) {
			got := c.run(w, []string{c.prefix}, []string{strconv.FormatInt(round*100, 10)})
			if !c.want(w.name, got, reply(round*100)...) {
				return
			}
			held = append(held, got.values)
		}
		// Writing to one, and beyond its end, must reach no other.
		for i, values := range held {
			if want := reply(int64(i) * 100); !slices.Equal(values, want) {
				c.errorf("the reply of call %d of %s, after later calls and writes to earlier replies: got %v, want %v", i+1, w.name, values, want)
			}
			for j := range values {
				values[j] = -1
			}
			_ = append(values, -1, -1)
		}
	}
}
