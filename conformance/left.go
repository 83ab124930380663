package conformance

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	leftRule = "a call leaves no goroutine behind, and what a client started ends when it is closed"
	keysRule = "of a lock, only meta and the probe of its servers stay, until their TTL"
)

// leftTime is how long what a case has started may take to end: that is more than lively's
// Expiry by the time for which a machine may stand still.
func leftTime() time.Duration { return patience / 5 }

const labelKey = "redlatch-conformance"

func label(value string) context.Context {
	return pprof.WithLabels(context.Background(), pprof.Labels(labelKey, value))
}

// goroutinesLeft returns the stacks of the goroutines labelled value, once for at
// most limit there have been some; empty as soon as there are none.
func goroutinesLeft(value string, limit time.Duration) string {
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		n, stacks := labelled(labelKey, value)
		if n == 0 || time.Now().After(deadline) {
			return strings.Join(stacks, "\n")
		}
	}
}

// labelled returns how many goroutines carry the label, and their stacks, each
// behind the number of those that share it.
func labelled(key, value string) (n int, stacks []string) {
	var profile bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&profile, 1)
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, fmt.Sprintf("%q:%q", key, value)) {
			if i := strings.Index(stack, "total "); i >= 0 { // the head of the profile
				_, stack, _ = strings.Cut(stack, "\n")
			}
			count, _, _ := strings.Cut(stack, " ")
			same, _ := strconv.Atoi(count)
			n += max(1, same)
			stacks = append(stacks, stack)
		}
	}
	return n, stacks
}

// listKeys answers the keys that match ARGV[1]: for each its PTTL, its length and
// its bytes.
const listKeys = `local answer, seen, cursor = {}, {}, '0'
repeat
	local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
	cursor = page[1]
	for _, key in ipairs(page[2]) do
		if not seen[key] then
			seen[key] = true
			answer[#answer + 1] = redis.call('PTTL', key)
			answer[#answer + 1] = #key
			for i = 1, #key do answer[#answer + 1] = string.byte(key, i) end
		end
	end
until cursor == '0'
return answer`

// A leftKey is a key found on a server.
type leftKey struct {
	name string // without the case's prefix
	ttl  time.Duration
}

// keysOf returns the keys of the case on n, past any proxy.
func (c *trial) keysOf(n node) []leftKey {
	values := c.on(n.side).mustEval(listKeys, []string{c.prefix}, []string{c.prefix + "*"})
	var keys []leftKey
	for len(values) >= 2 && int64(len(values)) >= 2+values[1] {
		var name []byte
		for _, b := range values[2 : 2+values[1]] {
			name = append(name, byte(b))
		}
		ttl := time.Duration(values[0]) * time.Millisecond
		keys = append(keys, leftKey{strings.TrimPrefix(string(name), c.prefix), ttl})
		values = values[2+values[1]:]
	}
	return keys
}

// keysLeft reports the keys of the case on n that ought not to be there, once they
// have had some time to go: the last removals are sent in the background.
func (c *trial) keysLeft(i int, n node) {
	wrong := func(k leftKey) bool {
		stays := strings.HasSuffix(k.name, ":meta") || strings.HasPrefix(k.name, "probe:")
		return !stays || k.ttl < 0
	}
	keys := c.keysOf(n)
	for deadline := time.Now().Add(leftTime()); slices.ContainsFunc(keys, wrong) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
		keys = c.keysOf(n)
	}
	for _, k := range keys {
		if wrong(k) {
			c.errorf("node %d at the end of the case: got the key %q with a TTL of %v, want it gone, or if it is a meta or probe key, with a TTL: %s", i, k.name, k.ttl, keysRule)
		}
	}
}
