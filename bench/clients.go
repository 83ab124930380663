package bench

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// newGoRedis returns a client with its defaults.
func newGoRedis(addr string, count *Counter) *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: addr, Dialer: count.dial})
}

// newRedigo returns a pool that keeps its connections, which by default it does not.
func newRedigo(addr string, count *Counter) *redigo.Pool {
	return &redigo.Pool{MaxIdle: 128, DialContext: func(ctx context.Context) (redigo.Conn, error) {
		return redigo.DialContext(ctx, "tcp", addr, redigo.DialContextFunc(count.dial))
	}}
}

// newRueidis returns a client with its defaults, but for its pings.
func newRueidis(addr string, count *Counter) (rueidis.Client, error) {
	return rueidis.NewClient(rueidisOption(addr, count))
}

// rueidisPing is how long a connection is silent before the client sends PING. Its default,
// a second, is most of what a waiting client would send.
const rueidisPing = 10 * time.Second

func rueidisOption(addr string, count *Counter) rueidis.ClientOption {
	return rueidis.ClientOption{
		InitAddress:       []string{addr},
		ForceSingleClient: true,
		Dialer:            net.Dialer{KeepAlive: rueidisPing},
		ConnWriteTimeout:  10 * time.Second, // the default, which would follow KeepAlive
		DialCtxFn: func(ctx context.Context, addr string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return count.dial(ctx, "tcp", addr)
		},
	}
}
