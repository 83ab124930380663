package virtual_test

import (
	"fmt"
	"sync/atomic"

	"github.com/redlatch/redlatch/core"
)

// A strictness is what the servers do that miniredis does not. Each can be switched on and
// off, for all nodes.
type strictness struct {
	full   atomic.Bool // memory is full: no script may begin to write with a command that may need some
	moving atomic.Bool // the slot is being moved to another node of a cluster, which has nothing yet
}

// strict is put before a script. A command on a key that is not there is refused only where
// the call met the node that the slot is moved from.
const strict = `
local server, full, moving, wrote = redis, %v, %v, false
local redis = {pcall = server.pcall, error_reply = server.error_reply}
local needs = {SET = true, HSET = true, ZADD = true}
local frees = {DEL = true, HDEL = true, ZREM = true, ZREMRANGEBYSCORE = true, PEXPIRE = true}
local have = 0
for _, key in ipairs(KEYS) do have = have + server.call('EXISTS', key) end
if moving and have < #KEYS and #KEYS > 1 then
  return server.error_reply('TRYAGAIN Multiple keys request during rehashing of slot')
end
function redis.call(command, key, ...)
  if full and not wrote and needs[command] then
    error("OOM command not allowed when used memory > 'maxmemory'.", 0)
  elseif moving and have > 0 and key and server.call('EXISTS', key) == 0 then
    error('ERR Script attempted to access a non local key in a cluster node', 0)
  end
  wrote = wrote or needs[command] or frees[command]
  if key == nil then return server.call(command) end
  return server.call(command, key, ...)
end
`

// around makes the nodes strict to a client. The calls that are refused are counted.
func (s *strictness) around(refused *atomic.Int32) func(*tap) {
	return func(tp *tap) {
		tp.edit = func(source string) string { return fmt.Sprintf(strict, s.full.Load(), s.moving.Load()) + source }
		tp.call = func(_ string, pass func() ([]int64, error)) ([]int64, error) {
			reply, err := pass()
			if err != nil {
				refused.Add(1)
			}
			return reply, err
		}
	}
}

// A kind is one of the four things that can be held.
type kind struct {
	name  string
	hold  string // its key
	nodes []int  // on how many it can be
	lock  func(*client) core.Locker
}

var fourKinds = []kind{
	{"mutex", "m", []int{1, 3}, func(c *client) core.Locker { return c.mutex() }},
	{"writer", "{m}:rw:writer", []int{1, 3}, func(c *client) core.Locker { return c.rw() }},
	{"reader", "{m}:rw:readers", []int{1, 3}, func(c *client) core.Locker { return c.rw().RLocker() }},
	{"permit", "m", []int{1}, func(c *client) core.Locker { return c.semaphore(1).Locker() }},
}

// beside returns what waits while one of the kind is held.
func (k kind) beside(c *client) core.Locker {
	if k.name == "reader" {
		return c.rw()
	}
	return k.lock(c)
}
