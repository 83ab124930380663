package bench

import (
	"context"
	"errors"
	"sync"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/adapters/redigo"
	"github.com/redlatch/redlatch/adapters/rueidis"
	"github.com/redlatch/redlatch/core"
)

// A dialNode connects to one server through an adapter.
type dialNode func(addr string, count *Counter) (node core.Scripter, end func() error, err error)

func goRedisNode(addr string, count *Counter) (core.Scripter, func() error, error) {
	c := newGoRedis(addr, count)
	return goredis.New(c), c.Close, nil
}

func redigoNode(addr string, count *Counter) (core.Scripter, func() error, error) {
	p := newRedigo(addr, count)
	return redigo.New(p), p.Close, nil
}

func rueidisNode(addr string, count *Counter) (core.Scripter, func() error, error) {
	c, err := newRueidis(addr, count)
	if err != nil {
		return nil, nil, err
	}
	return rueidis.New(c), func() error { c.Close(); return nil }, nil
}

// redlatchClient keeps its mutexes, which are stateless.
type redlatchClient struct {
	provider *redlatch.Provider
	mutexes  sync.Map // of *redlock.Mutex, by name
	ends     []func() error
}

// dialRedlatch makes clients with the library's defaults.
func dialRedlatch(dial dialNode) func([]string, *Counter) (Client, error) {
	return func(addrs []string, count *Counter) (Client, error) {
		c, err := openRedlatch(dial, addrs, count, nil, nil)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

// openRedlatch makes a client with options; wrap, which may be nil, puts something
// between the library and a node.
func openRedlatch(dial dialNode, addrs []string, count *Counter, opts *core.Options, wrap func(core.Scripter) core.Scripter) (*redlatchClient, error) {
	c := &redlatchClient{}
	nodes := make([]core.Scripter, len(addrs))
	for i, addr := range addrs {
		node, end, err := dial(addr, count)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		if wrap != nil {
			node = wrap(node)
		}
		nodes[i] = node
		c.ends = append(c.ends, end)
	}
	var err error
	if c.provider, err = redlatch.New(opts, nodes...); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *redlatchClient) Hold(ctx context.Context, name string, fn func()) error {
	lease, err := c.mutex(name).Lock(ctx)
	if err != nil {
		return err
	}
	if fn != nil {
		fn()
	}
	return lease.Release(ctx)
}

func (c *redlatchClient) mutex(name string) *redlatch.Mutex {
	if m, ok := c.mutexes.Load(name); ok {
		return m.(*redlatch.Mutex)
	}
	m := c.provider.Mutex(name)
	c.mutexes.Store(name, m)
	return m
}

func (c *redlatchClient) Close() error {
	var errs []error
	if c.provider != nil {
		errs = append(errs, c.provider.Close())
	}
	for _, end := range c.ends {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

func (c *redlatchClient) keep(ctx context.Context, name string) (func(context.Context) error, error) {
	lease, err := c.provider.Mutex(name).Lock(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		err := lease.Release(ctx)
		if errors.Is(err, core.ErrLost) {
			return errors.Join(errLost, err)
		}
		return err
	}, nil
}
