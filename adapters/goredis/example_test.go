package goredis_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
)

// One Scripter per independent Redis: locks need one, or a majority of several.
func ExampleNew() {
	var nodes []redlatch.Scripter
	for _, addr := range []string{"redis-a:6379", "redis-b:6379", "redis-c:6379"} {
		client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		defer client.Close()
		nodes = append(nodes, goredis.New(client))
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

// A client that cannot serve is told by Check, which redlatch.New calls.
func ExampleScripter_Check() {
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "redis-a:6379", "b": "redis-b:6379"}})
	defer ring.Close()
	_, err := redlatch.New(nil, goredis.New(ring))
	fmt.Println(errors.Is(err, redlatch.ErrInvalid))
	// Output: true
}
