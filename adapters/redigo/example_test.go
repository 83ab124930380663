package redigo_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/redigo"
)

// One Scripter per independent Redis: locks need one, or a majority of several.
func ExampleNew() {
	var nodes []redlatch.Scripter
	for _, addr := range []string{"redis-a:6379", "redis-b:6379", "redis-c:6379"} {
		pool := &redis.Pool{
			MaxIdle: 16, MaxActive: 64, Wait: true, IdleTimeout: 4 * time.Minute,
			DialContext: func(ctx context.Context) (redis.Conn, error) {
				return redis.DialContext(ctx, "tcp", addr,
					redis.DialConnectTimeout(2*time.Second),
					redis.DialReadTimeout(2*time.Second),
					redis.DialWriteTimeout(2*time.Second))
			},
		}
		defer pool.Close()
		nodes = append(nodes, redigo.New(pool))
	}
	locks, err := redlatch.New(nil, nodes...)
	if err != nil {
		log.Fatal(err)
	}
	defer locks.Close()
	mutex := locks.Mutex("job")
	err = redlatch.Do(context.Background(), mutex, func(ctx context.Context) error {
		fmt.Println("at work, alone")
		return context.Cause(ctx)
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A pool does not tell where it dials; who knows can say so, for errors.
func ExampleNewAt() {
	const addr = "redis-a:6379"
	pool := &redis.Pool{DialContext: func(ctx context.Context) (redis.Conn, error) { return redis.DialContext(ctx, "tcp", addr) }}
	defer pool.Close()
	fmt.Println(redigo.NewAt(pool, addr).Addr())
	// Output: redis-a:6379
}
