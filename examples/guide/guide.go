// Package guide holds the functions that README.md shows, so that they compile and run:
// its tests fail if README.md shows something else.
package guide

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
)

// A Store keeps reports and remembers the highest token that it was given.
type Store interface {
	// Save refuses a token that is lower than an earlier one.
	Save(ctx context.Context, report string, token int64) error
}

func open(addrs ...string) (*redlatch.Provider, error) {
	var nodes []redlatch.Scripter
	for _, addr := range addrs {
		client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		nodes = append(nodes, goredis.New(client))
	}
	return redlatch.New(&redlatch.Options{Expiry: 10 * time.Second, KeyPrefix: "shop:"}, nodes...)
}

func report(ctx context.Context, locks *redlatch.Provider, store Store) error {
	return redlatch.Do(ctx, locks.Mutex("report"), func(ctx context.Context) error {
		lease, _ := redlatch.FromContext(ctx)
		text, err := build(ctx) // ends early if the lease is lost
		if err != nil {
			return err
		}
		return store.Save(ctx, text, lease.Token()) // refuses what comes from an earlier holder
	})
}

func try(ctx context.Context, locks *redlatch.Provider) (bool, error) {
	mutex := locks.Mutex("report")
	lease, err := redlatch.Within(mutex, 2*time.Second).Lock(ctx) // or mutex.TryLock(ctx): one attempt
	switch {
	case errors.Is(err, redlatch.ErrNotAcquired):
		return false, nil // others have it: 409
	case err != nil:
		return false, err // nobody could say, a *redlatch.NodeError for each server: 503
	}
	_, err = build(lease.Context())
	return true, errors.Join(err, lease.Release(ctx))
}

func catalogue(ctx context.Context, locks *redlatch.Provider, read, write func(context.Context) error) error {
	lock := locks.RWMutex("catalogue")
	if err := redlatch.Do(ctx, lock.RLocker(), read); err != nil { // beside other readers
		return err
	}
	return redlatch.Do(ctx, lock, write) // alone
}

func print(ctx context.Context, locks *redlatch.Provider, page func(ctx context.Context, printer int) error) error {
	printers, err := locks.Semaphore("printers", 3)
	if err != nil {
		return err
	}
	permit, err := printers.Acquire(ctx)
	if err != nil {
		return err
	}
	err = page(permit.Context(), permit.Slot()) // 0, 1 or 2, and nobody else's
	return errors.Join(err, permit.Release(ctx))
}

func transfer(ctx context.Context, locks *redlatch.Provider, from, to string, move func(context.Context) error) error {
	a, b := locks.Mutex("account/"+from), locks.Mutex("account/"+to)
	both, err := redlatch.LockAll(ctx, a, b) // or neither; in an order that cannot deadlock
	if err != nil {
		return err
	}
	return errors.Join(move(both.Context()), both.Release(ctx))
}

// build stands for the work that takes its time.
func build(ctx context.Context) (string, error) { return "report", context.Cause(ctx) }
