package conformance

import (
	"fmt"
	"strings"
)

const (
	bytesRule = "keys and arguments are binary-safe: they go out byte for byte, with no formatting, trimming or prefix"
	countRule = "all keys and all arguments go out, in order; keys holds at least one key, args may be empty or nil"
)

var byteChecks = []check{
	{name: "BinaryKeys", rule: bytesRule, run: binaryKeys},
	{name: "BinaryArguments", rule: bytesRule, run: binaryArguments},
	{name: "Counts", rule: countRule, run: counts},
	{name: "ManyArguments", rule: countRule, run: manyArguments},
	{name: "LargeArgument", rule: bytesRule, run: largeArgument},
	{name: "LargeKey", rule: bytesRule, run: largeKey},
	{name: "LargeScript", rule: bytesRule, run: largeScript},
}

// odd are strings that something on the way may take offence at.
func odd() []string {
	var all strings.Builder
	for b := range 256 {
		all.WriteByte(byte(b))
	}
	return []string{
		"", " ", "0", "-1", "1e3", "00", "nil", "true", "\x00", "a\x00b", "\r\n", "a\r\n$4\r\nPING\r\n", "*1\r\n", "$-1\r\n",
		" blank before and after ", "\tx\n", "\xff\xfe", "\xc3\x28", "\xed\xa0\x80", "é", "e\u0301", "🔒", "\ufeff",
		"%s%d%!", `\x41\n`, `"quoted"`, "{", "}", "{}", "}{", "{a}{b}", "a{b", "*?[a-z]", all.String(),
	}
}

// echoed is what the script echo answers.
func echoed(keys, args []string) []int64 {
	want := []int64{int64(len(keys)), int64(len(args))}
	for _, list := range [][]string{keys, args} {
		for _, s := range list {
			want = append(want, int64(len(s)))
			for i := range len(s) {
				want = append(want, int64(s[i]))
			}
		}
	}
	return want
}

func (c *trial) wantEcho(what string, keys, args []string) {
	for _, w := range c.ways(echo) {
		c.wantHeard(w.name+" of "+what, c.run(w, keys, args), keys, args)
	}
}

// wantHeard reports an answer of the script echo other than keys and args: the first that
// differs.
func (c *trial) wantHeard(what string, got answer, keys, args []string) {
	gotKeys, gotArgs, ok := heard(got.values)
	switch {
	case got.err != nil || !ok:
		c.want(what, got, echoed(keys, args)...)
	case len(gotKeys) != len(keys) || len(gotArgs) != len(args):
		c.errorf("%s: the script got %d keys and %d arguments, want %d and %d", what, len(gotKeys), len(gotArgs), len(keys), len(args))
	default:
		if i := firstUnequal(gotKeys, keys); i < len(keys) {
			c.errorf("%s: key %d of %d: %s", what, i+1, len(keys), unlike(gotKeys[i], keys[i]))
		} else if i := firstUnequal(gotArgs, args); i < len(args) {
			c.errorf("%s: argument %d of %d: %s", what, i+1, len(args), unlike(gotArgs[i], args[i]))
		}
	}
}

// binaryKeys also uses keys without the case's prefix. Its script touches none.
func binaryKeys(c *trial) {
	for _, s := range odd() {
		for _, key := range []string{s, c.prefix + s, s + c.prefix} {
			c.wantEcho(fmt.Sprintf("key %q", key), []string{key}, nil)
		}
	}
}

func binaryArguments(c *trial) {
	for _, s := range odd() {
		c.wantEcho(fmt.Sprintf("argument %q", s), []string{c.prefix}, []string{s})
	}
	c.wantEcho("all of them", []string{c.prefix}, odd())
}

func counts(c *trial) {
	for _, keys := range []int{1, 2, 3, 5} {
		for _, args := range []int{0, 1, 2, 7} {
			k, a := make([]string, keys), make([]string, args)
			for i := range k {
				k[i] = fmt.Sprint(c.prefix, "k", i)
			}
			for i := range a {
				a[i] = fmt.Sprint("a", i)
			}
			c.wantEcho(fmt.Sprintf("%d keys and %d arguments", keys, args), k, a)
		}
	}
	c.wantEcho("nil arguments", []string{c.prefix}, nil)
}

func manyArguments(c *trial) {
	args := make([]string, 5_000)
	for i := range args {
		args[i] = fmt.Sprint(i)
	}
	c.wantEcho("5000 arguments", []string{c.prefix}, args)
}

// digest answers the length of its key and of its argument, and whether the
// SHA-1 of the two is ARGV[2].
const digest = "return {#KEYS[1], #ARGV[1], redis.sha1hex(KEYS[1] .. ARGV[1]) == ARGV[2] and 1 or 0}"

// megabyte returns 1 MiB in which every byte and every position counts.
func megabyte() string {
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return string(b)
}

func largeArgument(c *trial) {
	large := megabyte()
	for _, w := range c.ways(digest) {
		got := c.run(w, []string{c.prefix}, []string{large, sha1hex(c.prefix + large)})
		c.want(w.name+" of an argument of 1 MiB", got, int64(len(c.prefix)), 1<<20, 1)
	}
}

func largeKey(c *trial) {
	key := c.prefix + megabyte()
	for _, w := range c.ways(digest) {
		got := c.run(w, []string{key}, []string{"x", sha1hex(key + "x")})
		c.want(w.name+" of a key of 1 MiB", got, int64(len(key)), 1, 1)
	}
}

func largeScript(c *trial) {
	source := "return {#ARGV} --" + strings.Repeat(" long", 20_000)
	for _, w := range c.ways(source) {
		c.want(w.name+" of a script of 100 kB", c.run(w, []string{c.prefix}, []string{"a", "b"}), 2)
	}
}
