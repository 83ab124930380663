package semaphore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/toy"
	"github.com/redlatch/redlatch/semaphore"
)

// connect stands for an adapter's New: goredis.New(client), say.
func connect() core.Scripter { return new(toy.Redis) }

func ExampleNew() {
	printers, err := semaphore.New(connect(), "printers", 2, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		permit, err := printers.TryAcquire(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("printer", permit.Slot())
		defer permit.Release(context.Background())
	}
	_, err = printers.TryAcquire(context.Background())
	fmt.Println(err)
	// Output:
	// printer 0
	// printer 1
	// redlatch: not acquired: semaphore "printers" is held or waited for by others
}

func ExampleSemaphore_Available() {
	printers, err := semaphore.New(connect(), "printers", 2, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := printers.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	free, err := printers.Available(context.Background())
	fmt.Println(free, "of", printers.Limit(), "are free,", err)
	if err := permit.Release(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: 1 of 2 are free, <nil>
}

// As a Locker a semaphore can be given to whatever takes one.
func ExampleSemaphore_Locker() {
	printers, err := semaphore.New(connect(), "printers", 1, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = core.Do(context.Background(), printers.Locker(), func(ctx context.Context) error {
		permit, _ := core.FromContext(ctx)
		fmt.Println("printer", permit.Slot())
		_, err := core.Within(printers.Locker(), 0).Lock(ctx)
		fmt.Println("all in use:", errors.Is(err, core.ErrNotAcquired))
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// printer 0
	// all in use: true
}
