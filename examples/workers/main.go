// Command workers spreads three shards over five workers: each permit of a semaphore
// has a slot number that no other holder has, and the slot is the shard.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/examples/internal/connect"
	"github.com/redlatch/redlatch/semaphore"
)

const shards = 3

// work waits for a shard that has no worker, and serves it until its shift is over or
// the permit is lost.
func work(ctx context.Context, pool *semaphore.Semaphore, name string, shift time.Duration) error {
	permit, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	shard := permit.Slot()
	fmt.Printf("%-8s serves shard %d\n", name, shard)
	select {
	case <-time.After(shift):
		fmt.Printf("%-8s leaves shard %d\n", name, shard)
	case <-permit.Context().Done():
		fmt.Printf("%-8s has lost shard %d: %v\n", name, shard, context.Cause(permit.Context()))
	}
	return permit.Release(ctx)
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	locks, end, err := connect.Open(&core.Options{Expiry: 5 * time.Second})
	if err != nil {
		return err
	}
	defer end()
	pool, err := locks.Semaphore("shards", shards)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	names := []string{"ada", "barbara", "edsger", "grace", "leslie"}
	errs := make([]error, len(names))
	var workers sync.WaitGroup
	for i, name := range names {
		workers.Go(func() {
			errs[i] = work(ctx, pool, name, time.Duration(200+100*i)*time.Millisecond)
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}
