package conformance

import (
	"math"
	"strconv"
)

const (
	integersRule = "the scripts answer with a flat array of integers, and that array is the result; an integer is passed on with all its 64 bits"
	wrongRule    = "any other reply is an error that names what came; it is never turned into a zero or an empty result"
)

var replyChecks = append([]check{
	{name: "Integers", rule: integersRule, run: replyIntegers},
	{name: "EmptyArray", rule: integersRule, run: replyEmpty},
	{name: "LongArray", rule: integersRule, run: replyLong},
	{name: "WrongReplyNamed", rule: wrongRule, run: wrongReplyNamed},
}, wrongReplyChecks()...)

// wrongReplies are scripts that answer with what redlatch's never do.
var wrongReplies = []struct{ name, source string }{
	{"Nil", "return false"},
	{"Nothing", "return"},
	{"String", "return 'text'"},
	{"EmptyString", "return ''"},
	{"Digits", "return '7'"},
	{"Status", "return {ok = 'FINE'}"},
	{"Integer", "return 7"},
	{"StringElement", "return {1, 'text', 3}"},
	{"DigitsElement", "return {1, '7', 3}"},
	{"NilElement", "return {1, false, 3}"},
	{"NestedArray", "return {{1, 2}}"},
	{"NestedLast", "return {1, {2}}"},
}

func wrongReplyChecks() []check {
	var checks []check
	for _, w := range wrongReplies {
		checks = append(checks, check{name: "WrongReply" + w.name, rule: wrongRule, run: func(c *trial) {
			for _, way := range c.ways(w.source) {
				c.wantError(way.name+" of "+w.source, c.run(way, []string{c.prefix}, nil))
			}
		}})
	}
	return checks
}

// wrongReplyNamed holds the kinds of reply against each other: an error that names
// what came cannot be the same for two of them.
func wrongReplyNamed(c *trial) {
	said := map[string]string{}
	for _, source := range []string{"return false", "return 'text'", "return 7", "return {{1, 2}}"} {
		got := c.run(c.ways(source)[0], []string{c.prefix}, nil)
		if !c.wantError("Eval of "+source, got) {
			continue
		}
		if other, ok := said[got.err.Error()]; ok {
			c.errorf("Eval of %s: got the error %q as for %s, want one that names what came", source, got.err, other)
		}
		said[got.err.Error()] = source
	}
}

func replyIntegers(c *trial) {
	// A number in a script is a float64: these are the ends of what one can carry.
	const highest = math.MaxInt64 - 1023
	tests := []struct {
		source string
		want   []int64
	}{
		{"return {1}", []int64{1}},
		{"return {0}", []int64{0}},
		{"return {0, -1, 1, 255, 256, 65536}", []int64{0, -1, 1, 255, 256, 65536}},
		{"return {2147483647, -2147483648, 2147483648, 4294967296}", []int64{math.MaxInt32, math.MinInt32, 1 << 31, 1 << 32}},
		{"return {9007199254740992, -9007199254740992, 9007199254740991}", []int64{1 << 53, -1 << 53, 1<<53 - 1}},
		{"return {-2^63, 2^63 - 1024}", []int64{math.MinInt64, highest}},
	}
	for _, tt := range tests {
		for _, w := range c.ways(tt.source) {
			c.want(w.name+" of "+tt.source, c.run(w, []string{c.prefix}, nil), tt.want...)
		}
	}
}

func replyEmpty(c *trial) {
	for _, w := range c.ways("return {}") {
		c.want(w.name+" of return {}", c.run(w, []string{c.prefix}, nil))
	}
}

func replyLong(c *trial) {
	const n = 20_000
	want := make([]int64, n)
	for i := range want {
		want[i] = int64(i+1) * 1_000_003
	}
	source := "local a = {} for i = 1, tonumber(ARGV[1]) do a[i] = i * 1000003 end return a"
	for _, w := range c.ways(source) {
		c.want(w.name, c.run(w, []string{c.prefix}, []string{strconv.Itoa(n)}), want...)
	}
}
