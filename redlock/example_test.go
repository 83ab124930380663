package redlock_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/toy"
	"github.com/redlatch/redlatch/redlock"
)

// connect stands for an adapter's New: goredis.New(client), say.
func connect() core.Scripter { return new(toy.Redis) }

func ExampleNewMutex() {
	mutex, err := redlock.NewMutex([]core.Scripter{connect()}, "report", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := mutex.Lock(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("holds", lease.Name(), "with token", lease.Token())
	if err := lease.Release(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: holds report with token 1
}

func ExampleNewRWMutex() {
	lock, err := redlock.NewRWMutex([]core.Scripter{connect()}, "catalogue", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = core.Do(context.Background(), lock, func(context.Context) error {
		_, err := lock.TryRLock(context.Background())
		fmt.Println("no reader beside the writer:", errors.Is(err, core.ErrNotAcquired))
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: no reader beside the writer: true
}

func ExampleMutex_TryLock() {
	mutex, err := redlock.NewMutex([]core.Scripter{connect()}, "report", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := mutex.TryLock(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = mutex.TryLock(context.Background())
	fmt.Println(err)
	if err := lease.Release(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: redlatch: not acquired: mutex "report" is held or waited for by others
}

func ExampleRWMutex_RLocker() {
	lock, err := redlock.NewRWMutex([]core.Scripter{connect()}, "catalogue", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = core.Do(context.Background(), lock.RLocker(), func(context.Context) error {
		beside, err := lock.TryRLock(context.Background())
		if err != nil {
			return err
		}
		fmt.Println("two readers, without tokens:", beside.Token())
		return beside.Release(context.Background())
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: two readers, without tokens: 0
}
