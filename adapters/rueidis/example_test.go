package rueidis_test

import (
	"context"
	"fmt"
	"log"

	"github.com/redis/rueidis"

	"github.com/redlatch/redlatch"
	adapter "github.com/redlatch/redlatch/adapters/rueidis"
	"github.com/redlatch/redlatch/core"
)

// One Scripter per independent Redis: locks need one, or a majority of several.
func ExampleNew() {
	var nodes []core.Scripter
	for _, addr := range []string{"redis-a:6379", "redis-b:6379", "redis-c:6379"} {
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, AlwaysPipelining: true})
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close()
		nodes = append(nodes, adapter.New(client))
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
