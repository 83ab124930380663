package rueidis_test

import (
	"context"
	"fmt"
	"log"

	"github.com/redis/rueidis"

	"github.com/redlatch/redlatch"
	adapter "github.com/redlatch/redlatch/adapters/rueidis"
)

// One Scripter per independent Redis: locks need one, or a majority of several.
func ExampleNew() {
	var nodes []redlatch.Scripter
	for _, addr := range []string{"redis-a:6379", "redis-b:6379", "redis-c:6379"} {
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, AlwaysPipelining: true})
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close()
		nodes = append(nodes, adapter.New(client))
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
