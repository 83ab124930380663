package bench

import (
	"context"
	"time"

	"github.com/bsm/redislock"
	goredis "github.com/redis/go-redis/v9"
)

type redislockClient struct {
	client *goredis.Client
	locker *redislock.Client
}

func dialRedislock(addrs []string, count *Counter) (Client, error) {
	c := newGoRedis(addrs[0], count)
	return &redislockClient{c, redislock.New(c)}, nil
}

// redislockOptions make it poll every 10 ms; by default it does not wait.
var redislockOptions = redislock.Options{RetryStrategy: redislock.LinearBackoff(10 * time.Millisecond)}

// Hold takes the lock for 30 s: the library has no default.
func (c *redislockClient) Hold(ctx context.Context, name string, fn func()) error {
	lock, err := c.locker.Obtain(ctx, name, 30*time.Second, &redislockOptions)
	if err != nil {
		return err
	}
	if fn != nil {
		fn()
	}
	return lock.Release(ctx)
}

func (c *redislockClient) Close() error { return c.client.Close() }
