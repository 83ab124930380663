package bench

import (
	"context"
	"errors"
	"sync"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/quorum"
	"github.com/redlatch/redlatch/internal/script"
)

// NoQueue is this library's mutex as it would be if nobody could stand in line: it makes one
// attempt, which keeps no line in the process, and its scripts do not ask whether somebody
// waits. It shows what the queue costs those who do not need it.
const NoQueue = "redlatch without a queue"

var noQueue = quorum.Spec{
	Kind: script.NewKind("", `
local known = redis.call('HGET', meta, 'token')
if redis.call('SET', KEYS[1], owner, 'NX', 'PX', ARGV[3]) then
  local token = mint(known)
  if token then return {1, now, token, -1} end
end
`, `
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  return {1, 0}
end
`),
	Named: "mutex", Param: "w", Fenced: true,
}

type noQueueClient struct {
	set   *quorum.Set
	locks sync.Map // of *quorum.Lock, by name
	end   func() error
}

func dialNoQueue(addrs []string, count *Counter) (Client, error) {
	node, end, err := goRedisNode(addrs[0], count)
	if err != nil {
		return nil, err
	}
	set, err := quorum.New([]core.Scripter{node}, nil)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return &noQueueClient{set: set, end: end}, nil
}

func (c *noQueueClient) Hold(ctx context.Context, name string, fn func()) error {
	known, ok := c.locks.Load(name)
	if !ok {
		lock, err := quorum.NewLock(c.set.Nodes(), name, nil, noQueue)
		if err != nil {
			return err
		}
		known, _ = c.locks.LoadOrStore(name, lock)
	}
	lease, err := known.(*quorum.Lock).TryLock(ctx)
	if err != nil {
		return err
	}
	if fn != nil {
		fn()
	}
	return lease.Release(ctx)
}

func (c *noQueueClient) Close() error { return errors.Join(c.set.Close(), c.end()) }
