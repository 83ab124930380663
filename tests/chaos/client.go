//go:build unix

package chaos

import (
	"context"
	"fmt"
	"time"

	pool "github.com/gomodule/redigo/redis"
	client "github.com/redis/go-redis/v9"
	rueidisclient "github.com/redis/rueidis"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/adapters/redigo"
	"github.com/redlatch/redlatch/adapters/rueidis"
	"github.com/redlatch/redlatch/core"
)

// The adapters, by the names that tasks have for them.
const (
	GoRedis = "goredis"
	Redigo  = "redigo"
	Rueidis = "rueidis"
)

// clientTimeout is every timeout of the clients.
const clientTimeout = time.Second

// dial returns a Scripter for the server at addr, with a client of its own. variant
// picks one of the configurations that change how the client behaves.
func dial(adapter, addr string, variant int) (s core.Scripter, end func(), err error) {
	odd := variant%2 == 1
	switch adapter {
	case GoRedis:
		c := client.NewClient(&client.Options{
			Addr: addr, Protocol: 2 + variant%2, ContextTimeoutEnabled: variant%4 < 2,
			DialTimeout: clientTimeout, ReadTimeout: clientTimeout, WriteTimeout: clientTimeout,
			PoolSize: 32, PoolTimeout: clientTimeout,
		})
		return goredis.New(c), func() { _ = c.Close() }, nil
	case Redigo:
		p := &pool.Pool{MaxIdle: 16, MaxActive: 64, Wait: odd, DialContext: func(ctx context.Context) (pool.Conn, error) {
			return pool.DialContext(ctx, "tcp", addr, pool.DialConnectTimeout(clientTimeout),
				pool.DialReadTimeout(clientTimeout), pool.DialWriteTimeout(clientTimeout))
		}}
		return redigo.New(p), func() { _ = p.Close() }, nil
	case Rueidis:
		o := rueidisclient.ClientOption{
			InitAddress: []string{addr}, ForceSingleClient: true, // it comes back although nobody listens
			ConnWriteTimeout: clientTimeout, AlwaysPipelining: odd, DisableCache: variant%4 >= 2,
		}
		o.Dialer.Timeout = clientTimeout
		c, err := rueidisclient.NewClient(o)
		if c == nil {
			return nil, nil, err
		}
		return rueidis.New(c), c.Close, nil
	}
	return nil, nil, fmt.Errorf("chaos: adapter %q: want %s, %s or %s", adapter, GoRedis, Redigo, Rueidis)
}
