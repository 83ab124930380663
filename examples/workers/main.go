// Command workers spreads three shards over five workers: each permit of a semaphore
// has a slot number that no other holder has, and the slot is the shard.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/examples/internal/connect"
)

const shards = 3

// work waits for a shard that has no worker, and serves it until its shift is over. Where
// the permit is lost, work begins again; servers that are away are waited for.
func work(ctx context.Context, pool *redlatch.Semaphore, name string, shift time.Duration) error {
	for {
		permit, err := redlatch.WaitForReady(pool.Locker()).Lock(ctx)
		if err != nil {
			return err
		}
		shard := permit.Slot()
		fmt.Printf("%-8s serves shard %d\n", name, shard)
		select {
		case <-permit.Context().Done():
			fmt.Printf("%-8s has lost shard %d: %v\n", name, shard, context.Cause(permit.Context()))
			continue
		case <-time.After(shift):
			fmt.Printf("%-8s leaves shard %d\n", name, shard)
		}
		if err := permit.Release(ctx); err != nil {
			log.Printf("%s: %v", name, err) // the shard is free when the permit has ended by itself
		}
		return nil
	}
}

var shift = flag.Duration("shift", 200*time.Millisecond, "how long the first worker serves; each further one 100ms longer")

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	locks, end, err := connect.Open(&redlatch.Options{Expiry: 5 * time.Second})
	if err != nil {
		return err
	}
	defer end()
	pool, err := locks.Semaphore("shards", shards)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	names := []string{"ada", "barbara", "edsger", "grace", "leslie"}
	errs := make([]error, len(names))
	var workers sync.WaitGroup
	for i, name := range names {
		workers.Go(func() {
			errs[i] = work(ctx, pool, name, *shift+time.Duration(i)*100*time.Millisecond)
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}
