package goredis_test

import (
	"context"
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/core"
)

// One Scripter per independent Redis: locks need one, or a majority of several.
func ExampleNew() {
	var nodes []core.Scripter
	for _, addr := range []string{"redis-a:6379", "redis-b:6379", "redis-c:6379"} {
		client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		defer client.Close()
		nodes = append(nodes, goredis.New(client))
	}
	locks, err := redlatch.New(nodes, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer locks.Close()
	mutex, err := locks.Mutex("job")
	if err != nil {
		log.Fatal(err)
	}
	err = core.Do(context.Background(), mutex, func(ctx context.Context) error {
		fmt.Println("at work, alone")
		return ctx.Err()
	})
	if err != nil {
		log.Fatal(err)
	}
}
