package bench

import (
	"context"
	"errors"
	"sync"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/hold"
	"github.com/redlatch/redlatch/internal/line"
	"github.com/redlatch/redlatch/internal/protocol"
)

// NoQueue is this library's mutex as it would be if nobody could stand in line: it makes one
// attempt, which keeps no line in the process, and its scripts do not ask whether somebody
// waits. It shows what the queue costs those who do not need it.
const NoQueue = "redlatch without a queue"

var noQueue = hold.Spec{
	Kind: protocol.NewKind("", `
local known = redis.call('HGET', meta, 'token')
if redis.call('SET', hold, owner, 'NX', 'PX', expiry) then
  local token = mint(known)
  if token then return {1, now, token, -1, 0} end
end
`, `
if redis.call('GET', KEYS[1]) == owner then
  redis.call('DEL', KEYS[1])
  return {1, 0}
end
`),
	Named: "mutex", Param: "w", Stand: 2, Fenced: true,
}

type noQueueClient struct {
	set   *line.Group
	locks sync.Map // of *line.Lock, by name
	end   func() error
}

func dialNoQueue(addrs []string, count *Counter) (Client, error) {
	node, end, err := goRedisNode(addrs[0], count)
	if err != nil {
		return nil, err
	}
	set, err := line.NewGroup([]core.Scripter{node}, nil)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return &noQueueClient{set: set, end: end}, nil
}

func (c *noQueueClient) Hold(ctx context.Context, name string, fn func()) error {
	known, ok := c.locks.Load(name)
	if !ok {
		known, _ = c.locks.LoadOrStore(name, c.set.Lock(name, noQueue))
	}
	lease, err := known.(*line.Lock).TryLock(ctx)
	if err != nil {
		return err
	}
	if fn != nil {
		fn()
	}
	return lease.Release(ctx)
}

func (c *noQueueClient) Close() error { return errors.Join(c.set.Close(), c.end()) }
