package sim_test

import (
	"testing"

	"github.com/redlatch/redlatch/tests/sim"
)

// BenchmarkScript runs a script of the usual size on a node: what a simulated
// call costs in real time, less the few microseconds of its goroutines.
func BenchmarkScript(b *testing.B) {
	const source = `
local now = redis.call('TIME')
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
	local token = tonumber(redis.call('HGET', KEYS[2], 'token') or 0) + 1
	redis.call('HSET', KEYS[2], 'token', string.format('%.0f', token))
	redis.call('PEXPIRE', KEYS[2], 60000)
	return {1, token, now[1] * 1000000 + now[2]}
end
return {0, redis.call('PTTL', KEYS[1])}`
	c, err := sim.New(sim.Config{Seed: 1, Nodes: 1, Clients: 1}, &sim.Stats{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Nodes[0].Run("EVAL", source, "2", "k", "m", "owner", "1"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Nodes[0].Run("EVAL", source, "2", "k", "m", "owner", "1"); err != nil {
			b.Fatal(err)
		}
	}
}
