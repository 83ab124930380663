package bench

import (
	"context"
	"errors"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	redsyncredigo "github.com/go-redsync/redsync/v4/redis/redigo"
)

// A dialPool connects to one server through a client that redsync knows.
type dialPool func(addr string, count *Counter) (pool redsyncpool.Pool, end func() error)

func goRedisPool(addr string, count *Counter) (redsyncpool.Pool, func() error) {
	c := newGoRedis(addr, count)
	return redsyncgoredis.NewPool(c), c.Close
}

func redigoPool(addr string, count *Counter) (redsyncpool.Pool, func() error) {
	p := newRedigo(addr, count)
	return redsyncredigo.NewPool(p), p.Close
}

type redsyncClient struct {
	sync *redsync.Redsync
	ends []func() error
}

// dialRedsync makes clients with the library's defaults.
func dialRedsync(dial dialPool) func([]string, *Counter) (Client, error) {
	return func(addrs []string, count *Counter) (Client, error) {
		return openRedsync(dial, addrs, count), nil
	}
}

func openRedsync(dial dialPool, addrs []string, count *Counter) *redsyncClient {
	c := &redsyncClient{}
	pools := make([]redsyncpool.Pool, len(addrs))
	for i, addr := range addrs {
		pool, end := dial(addr, count)
		pools[i] = pool
		c.ends = append(c.ends, end)
	}
	c.sync = redsync.New(pools...)
	return c
}

// Hold calls Lock again when it gave up because others hold the lock, which it does
// after 32 tries.
func (c *redsyncClient) Hold(ctx context.Context, name string, fn func()) error {
	m := c.sync.NewMutex(name)
	err := m.LockContext(ctx)
	for taken(err) && ctx.Err() == nil {
		err = m.LockContext(ctx)
	}
	if err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if fn != nil {
		fn()
	}
	_, err = m.UnlockContext(ctx)
	return err
}

func taken(err error) bool {
	var held *redsync.ErrTaken
	return errors.As(err, &held) || errors.Is(err, redsync.ErrFailed)
}

func (c *redsyncClient) Close() error {
	var errs []error
	for _, end := range c.ends {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

func (c *redsyncClient) phases(ctx context.Context, name string, before func(step int)) (Phases, error) {
	var p Phases
	m := c.sync.NewMutex(name)
	before(0)
	began := time.Now()
	err := m.LockContext(ctx)
	p.Lock = time.Since(began)
	if err != nil {
		return p, err
	}
	before(1)
	began = time.Now()
	_, err = m.ExtendContext(ctx)
	p.Extend = time.Since(began)
	if err != nil {
		return p, err
	}
	before(2)
	began = time.Now()
	_, err = m.UnlockContext(ctx)
	p.Release = time.Since(began)
	return p, err
}
