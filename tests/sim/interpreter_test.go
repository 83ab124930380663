package sim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redlatch/redlatch/tests/sim"
	"github.com/redlatch/redlatch/tests/testkit"
)

// TestInterpreterAgrees runs scripts here and in miniredis itself.
func TestInterpreterAgrees(t *testing.T) {
	testkit.Bubble(t, one(12), func(t *testing.T, c *sim.Cluster, _ *sim.Stats) {
		n := c.Nodes[0]
		for _, script := range []string{
			`return {1, 2, -3}`,
			`return {2^53, 1e15, 7 / 2}`,
			`return {#KEYS, #ARGV, tonumber(ARGV[2])}`,
			`redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000) return {redis.call('PTTL', KEYS[1])}`,
			`return {redis.call('SET', KEYS[1], 'y', 'NX') and 1 or 0}`,
			`return {redis.call('GET', 'absent') == false and 1 or 0}`,
			`return {redis.call('SET', KEYS[1], 'x').ok == 'OK' and 1 or 0}`,
			`redis.call('ZADD', 'z', 1700000000123456, 'm', 2, 'n') return {redis.call('ZRANK', 'z', 'm'), redis.call('ZCARD', 'z')}`,
			`return {tonumber(redis.call('ZRANGE', 'z', -1, -1, 'WITHSCORES')[2])}`,
			`return {redis.call('ZSCORE', 'z', 'none') == false and 1 or 0}`,
			`redis.call('HSET', 'h', 'f', string.format('%.0f', 1700000000123456)) return {tonumber(redis.call('HGET', 'h', 'f'))}`,
			`local v = redis.call('HMGET', 'h', 'f', 'g') return {#v, v[2] == false and 1 or 0}`,
			`return {redis.pcall('INCR', 'z').err and 1 or 0}`,
			`return {redis.call('INCR', 'z')}`,
			`return redis.error_reply('OOM x')`,
			`return {redis.call('NONSENSE')}`,
			`x = 1 return {1}`,
			`return {y}`,
			`return {nil + 1}`,
			`return {`,
			`local a, b, c = string.match('12 34 w', '^(%d+) (%d+) (%a)') return {tonumber(a), tonumber(b), c == 'w' and 1 or 0}`,
			`local t = {} for i = 1, 5 do t[i] = i end table.insert(t, 6) return {unpack(t)}`,
			`return {math.floor(3.7), math.max(1, 2), math.ceil(0.1), math.abs(-4)}`,
			`return {type(redis.call('TIME')[1]) == 'string' and 1 or 0, select('#', 1, 2)}`,
			`return {redis.call('EXISTS', KEYS[1]), nil, 5}`,
		} {
			args := []string{"EVAL", script, "1", "key", "one", "42"}
			theirs, theirErr := n.Command(args...)
			ours, err := n.Run(args...)
			if (err != nil) != (theirErr != nil) {
				t.Errorf("%s: got %v, %v, miniredis says %v, %v", script, ours, err, theirs, theirErr)
				continue
			}
			if err == nil && fmt.Sprint(ours) != fmt.Sprint(theirs) {
				t.Errorf("%s: got %v, miniredis says %v", script, ours, theirs)
			}
		}
		// An error of a command keeps its code in front.
		if _, err := n.Run("EVAL", `return {redis.call('INCR', 'z')}`, "1", "key"); err == nil || !strings.HasPrefix(err.Error(), "WRONGTYPE ") {
			t.Errorf("got %v, want WRONGTYPE first", err)
		}
	})
}
