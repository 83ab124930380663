package redlatch_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/internal/toy"
)

// connect stands for an adapter's New: goredis.New(client), say.
func connect() redlatch.Scripter { return new(toy.Redis) }

// open returns a provider on one Redis.
func open() *redlatch.Provider {
	locks, err := redlatch.New(nil, connect())
	if err != nil {
		panic(err)
	}
	return locks
}

// One Redis and no options: the first program.
func Example() {
	locks, err := redlatch.New(nil, connect()) // goredis.New(client), say
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close()

	err = redlatch.Do(context.Background(), locks.Mutex("nightly-report"), func(ctx context.Context) error {
		lease, _ := redlatch.FromContext(ctx)
		fmt.Println("alone, with fencing token", lease.Token())
		return context.Cause(ctx) // ctx ends if the lock is lost
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: alone, with fencing token 1
}

// Three independent servers, of which two decide.
func ExampleNew() {
	var nodes []redlatch.Scripter
	for range 3 {
		nodes = append(nodes, connect()) // one client per server
	}
	locks, err := redlatch.New(&redlatch.Options{Expiry: 10 * time.Second, KeyPrefix: "shop:"}, nodes...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close()
	fmt.Println("nothing has been sent yet")
	// Output: nothing has been sent yet
}

// A value that is out of its bounds is refused, and never corrected.
func ExampleOptions() {
	_, err := redlatch.New(&redlatch.Options{Expiry: 50 * time.Millisecond}, connect())
	fmt.Println(errors.Is(err, redlatch.ErrInvalid))
	fmt.Println(err)
	// Output:
	// true
	// redlatch: invalid: Options.Expiry is 50ms, at least 100ms wanted
}

func ExampleProvider_Mutex() {
	ctx, locks := context.Background(), open()
	defer locks.Close()

	lease, err := locks.Mutex("report").Lock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = locks.Mutex("report").TryLock(ctx) // the same lock
	fmt.Println("others have it:", errors.Is(err, redlatch.ErrNotAcquired))
	if err := lease.Release(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: others have it: true
}

func ExampleProvider_RWMutex() {
	ctx, locks := context.Background(), open()
	defer locks.Close()

	catalogue := locks.RWMutex("catalogue")
	err := redlatch.Do(ctx, catalogue.RLocker(), func(ctx context.Context) error {
		second, err := catalogue.TryRLock(ctx)
		if err != nil {
			return err
		}
		fmt.Println("two readers")
		_, err = catalogue.TryLock(ctx)
		fmt.Println("no writer beside them:", errors.Is(err, redlatch.ErrNotAcquired))
		return second.Release(ctx)
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// two readers
	// no writer beside them: true
}

func ExampleProvider_Semaphore() {
	ctx, locks := context.Background(), open()
	defer locks.Close()

	printers, err := locks.Semaphore("printers", 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := printers.Acquire(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("printer %d of %d\n", permit.Slot(), printers.Limit())
	if err := permit.Release(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: printer 0 of 3
}

func ExampleProvider_Close() {
	ctx, locks := context.Background(), open()
	lease, err := locks.Mutex("report").Lock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	held := lease.Context()
	if err := locks.Close(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(context.Cause(held))
	_, err = locks.Mutex("report").Lock(ctx)
	fmt.Println(err)
	// Output:
	// redlatch: lease released: redlatch: closed
	// redlatch: closed: mutex "report": the provider is closed
}

// The context tells the work that its lock is lost, and Do tells its caller.
func ExampleDo() {
	server := new(toy.Redis)
	locks, err := redlatch.New(&redlatch.Options{ExtensionCadence: 10 * time.Millisecond}, server)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close()

	err = redlatch.Do(context.Background(), locks.Mutex("report"), func(ctx context.Context) error {
		server.Lose() // it restarts without its data
		<-ctx.Done()
		return context.Cause(ctx)
	})
	fmt.Println(errors.Is(err, redlatch.ErrLost))
	fmt.Println(err)
	// Output:
	// true
	// redlatch: lease lost: mutex "report": a majority of the nodes no longer has it
}

// A function far below Do finds the lease, whose token the resource wants to see.
func ExampleFromContext() {
	locks := open()
	defer locks.Close()

	save := func(ctx context.Context) {
		lease, ok := redlatch.FromContext(ctx)
		if !ok {
			fmt.Println("called without a lock")
			return
		}
		fmt.Printf("UPDATE report SET body = ?, token = %d WHERE token <= %d\n", lease.Token(), lease.Token())
	}
	save(context.Background())
	err := redlatch.Do(context.Background(), locks.Mutex("report"), func(ctx context.Context) error {
		save(ctx)
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// called without a lock
	// UPDATE report SET body = ?, token = 1 WHERE token <= 1
}

func ExampleWithin() {
	ctx, locks := context.Background(), open()
	defer locks.Close()

	mutex := locks.Mutex("report")
	if _, err := mutex.Lock(ctx); err != nil {
		fmt.Println(err)
		return
	}
	_, err := redlatch.Within(mutex, 20*time.Millisecond).Lock(ctx)
	fmt.Println("others have it:", errors.Is(err, redlatch.ErrNotAcquired))
	fmt.Println("for too long:", errors.Is(err, context.DeadlineExceeded))
	// Output:
	// others have it: true
	// for too long: true
}

// Lock tells at once that a server is away; where that is to be waited for, this does.
func ExampleWaitForReady() {
	server := new(toy.Redis)
	locks, err := redlatch.New(nil, server)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close()

	server.Stop()
	time.AfterFunc(20*time.Millisecond, server.Start)
	err = redlatch.Do(context.Background(), redlatch.WaitForReady(locks.Mutex("report")), func(context.Context) error {
		fmt.Println("the server is back")
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: the server is back
}

func ExampleLockAll() {
	ctx, locks := context.Background(), open()
	defer locks.Close()

	both, err := redlatch.LockAll(ctx, locks.Mutex("account/7"), locks.Mutex("account/3"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("holds", both.Name())
	for _, lease := range both.Members() {
		fmt.Println(lease.Name(), "with token", lease.Token()) // in the order in which they were taken
	}
	if err := both.Release(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// holds account/7, account/3
	// account/7 with token 2
	// account/3 with token 1
}

// A goroutine that outlives the lock of who started it may wait for that lock.
func ExampleWithoutLeases() {
	locks := open()
	defer locks.Close()

	mutex, done := locks.Mutex("report"), make(chan error)
	err := redlatch.Do(context.Background(), mutex, func(ctx context.Context) error {
		_, err := mutex.Lock(ctx)
		fmt.Println("waits for itself:", errors.Is(err, redlatch.ErrDeadlock))
		later := redlatch.WithoutLeases(context.WithoutCancel(ctx))
		go func() {
			done <- redlatch.Do(later, mutex, func(context.Context) error { return nil })
		}()
		return nil
	})
	fmt.Println(err, <-done)
	// Output:
	// waits for itself: true
	// <nil> <nil>
}

// An outage is not a refusal: it names each server that failed.
func ExampleNodeError() {
	server := new(toy.Redis)
	locks, err := redlatch.New(nil, server)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close()

	server.Stop()
	_, err = locks.Mutex("report").TryLock(context.Background())
	var failed *redlatch.NodeError
	switch {
	case errors.Is(err, redlatch.ErrNotAcquired):
		fmt.Println("409: others have it")
	case errors.As(err, &failed):
		fmt.Printf("503: node %d: %v\n", failed.Node, failed.Err)
	}
	// Output: 503: node 0: connection refused
}

// A lease can be kept for longer than a function runs.
func ExampleLease() {
	ctx, locks := context.Background(), open()
	defer locks.Close()

	lease, err := locks.Mutex("leader").Lock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("valid for at least 20 s:", time.Until(lease.ValidUntil()) > 20*time.Second)
	work := lease.Context() // ends when the lease does
	if err := lease.Release(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(context.Cause(work))
	// Output:
	// valid for at least 20 s: true
	// redlatch: lease released
}
