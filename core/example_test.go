package core_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/toy"
	"github.com/redlatch/redlatch/redlock"
)

// fake is a lock for the tests of code that takes one: it is free, and lost when the test
// wants it to be.
type fake struct {
	name string
	lose context.CancelCauseFunc // of the last lease
}

func (f *fake) Name() string { return f.name }

func (f *fake) Lock(ctx context.Context) (*core.Lease, error) { return f.TryLock(ctx) }

func (f *fake) TryLock(ctx context.Context) (lease *core.Lease, err error) {
	lease, f.lose = core.NewLease(ctx, core.Claim{Lock: f, Token: 7})
	return lease, nil
}

// publish is the code that a user wants to test: it takes a lock.
func publish(ctx context.Context, l core.Locker, write func(token int64)) error {
	return core.Do(ctx, l, func(ctx context.Context) error {
		lease, _ := core.FromContext(ctx)
		write(lease.Token())
		return context.Cause(ctx)
	})
}

// A test gives the code under test a lock of its own, and needs no Redis.
func ExampleNewLease() {
	lock := &fake{name: "report"}
	err := publish(context.Background(), lock, func(token int64) { fmt.Println("written with token", token) })
	fmt.Println("held:", err)

	err = publish(context.Background(), lock, func(int64) { lock.lose(core.ErrLost) })
	fmt.Println("lost:", err)
	// Output:
	// written with token 7
	// held: <nil>
	// lost: redlatch: lease lost
}

// timed is a Locker that measures how long one waits for another.
type timed struct {
	core.Locker
	took func(name string, wait time.Duration)
}

func (t timed) Lock(ctx context.Context) (*core.Lease, error) {
	began := time.Now()
	lease, err := t.Locker.Lock(ctx)
	t.took(t.Name(), time.Since(began))
	return lease, err
}

// Unwrap says which lock it is.
func (t timed) Unwrap() core.Locker { return t.Locker }

// With Unwrap a Locker around another one is that lock: here it is taken once.
func ExampleLocker() {
	mutex, err := redlock.NewMutex([]core.Scripter{new(toy.Redis)}, "report", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	measured := timed{mutex, func(name string, wait time.Duration) { fmt.Println("waited for", name) }}
	lease, err := core.LockAll(context.Background(), measured, mutex)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("one lease:", lease.Members()[0] == lease.Members()[1])
	if err := lease.Release(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// waited for report
	// one lease: true
}

// local is a lock within this process.
type local struct {
	name  string
	place chan struct{} // of capacity 1
}

func (l *local) Name() string { return l.name }

func (l *local) Lock(ctx context.Context) (*core.Lease, error) {
	if err := core.Deadlock(ctx, l); err != nil {
		return nil, err
	}
	select {
	case l.place <- struct{}{}:
		return l.lease(ctx), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", core.ErrNotAcquired, ctx.Err())
	}
}

func (l *local) TryLock(ctx context.Context) (*core.Lease, error) {
	select {
	case l.place <- struct{}{}:
		return l.lease(ctx), nil
	default:
		return nil, core.ErrNotAcquired
	}
}

func (l *local) lease(ctx context.Context) *core.Lease {
	var end context.CancelCauseFunc
	lease, end := core.NewLease(ctx, core.Claim{Lock: l, Release: func(context.Context) error {
		end(core.ErrReleased) // before others are let in
		<-l.place
		return nil
	}})
	return lease
}

// A lock of one's own fills in a Claim, and finds out that it would wait for itself.
func ExampleClaim() {
	lock := &local{"report", make(chan struct{}, 1)}
	err := core.Do(context.Background(), lock, func(ctx context.Context) error {
		_, err := lock.TryLock(ctx)
		fmt.Println("held:", errors.Is(err, core.ErrNotAcquired))
		_, err = lock.Lock(ctx)
		fmt.Println("by oneself:", errors.Is(err, core.ErrDeadlock))
		return nil
	})
	fmt.Println(err)
	// Output:
	// held: true
	// by oneself: true
	// <nil>
}

func ExampleDeadlock() {
	lock := &fake{name: "report"}
	lease, err := lock.Lock(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(errors.Is(core.Deadlock(lease.Context(), lock), core.ErrDeadlock))
	fmt.Println(core.Deadlock(core.WithoutLeases(lease.Context()), lock))
	fmt.Println(core.Deadlock(lease.Context(), &fake{name: "another"}))
	// Output:
	// true
	// <nil>
	// <nil>
}

// logged is a Scripter around another one.
type logged struct{ core.Scripter }

func (l logged) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	reply, err := l.Scripter.Eval(ctx, source, keys, args)
	fmt.Println("a script for", keys[0])
	return reply, err
}

// A Scripter can be put before another, to log or to measure.
func ExampleScripter() {
	mutex, err := redlock.NewMutex([]core.Scripter{logged{new(toy.Redis)}}, "report", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := core.Do(context.Background(), mutex, func(context.Context) error { return nil }); err != nil {
		fmt.Println(err)
	}
	// Output:
	// a script for report
	// a script for report
}

func ExampleDo() {
	err := core.Do(context.Background(), &fake{name: "report"}, func(ctx context.Context) error {
		lease, _ := core.FromContext(ctx)
		fmt.Println("holds", lease.Name())
		return nil
	})
	fmt.Println(err)
	// Output:
	// holds report
	// <nil>
}

func ExampleFromContext() {
	_, held := core.FromContext(context.Background())
	fmt.Println(held)
	lease, err := (&fake{name: "report"}).Lock(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	again, held := core.FromContext(lease.Context())
	fmt.Println(held, again == lease)
	// Output:
	// false
	// true true
}

func ExampleWithoutLeases() {
	lease, err := (&fake{name: "report"}).Lock(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, held := core.FromContext(core.WithoutLeases(lease.Context()))
	fmt.Println(held)
	// Output: false
}

func ExampleWithin() {
	lock := &local{"report", make(chan struct{}, 1)}
	if _, err := lock.Lock(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	_, err := core.Within(lock, 10*time.Millisecond).Lock(context.Background())
	fmt.Println(errors.Is(err, core.ErrNotAcquired), errors.Is(err, context.DeadlineExceeded))
	// Output: true true
}

func ExampleWaitForReady() {
	server := new(toy.Redis)
	mutex, err := redlock.NewMutex([]core.Scripter{server}, "report", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	server.Stop()
	_, err = mutex.Lock(context.Background())
	fmt.Println(err)
	time.AfterFunc(20*time.Millisecond, server.Start)
	lease, err := core.WaitForReady(mutex).Lock(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the server is back")
	if err := lease.Release(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// redlatch: mutex "report": node 0: connection refused
	// the server is back
}

func ExampleLockAll() {
	lease, err := core.LockAll(context.Background(), &fake{name: "b"}, &fake{name: "a"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lease.Name())
	fmt.Println(lease.Release(context.Background()))
	// Output:
	// b, a
	// <nil>
}

func ExampleLease_Lost() {
	lock := &fake{name: "report"}
	lease, err := lock.Lock(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	lock.lose(fmt.Errorf("%w: says the test", core.ErrLost))
	<-lease.Lost()
	fmt.Println(context.Cause(lease.Context()))
	fmt.Println(lease.Release(context.Background()))
	// Output:
	// redlatch: lease lost: says the test
	// redlatch: lease lost: says the test
}

func ExampleNodeError() {
	err := errors.Join(
		&core.NodeError{Node: 0, Addr: "10.0.0.7:6379", Err: errors.New("connection refused")},
		&core.NodeError{Node: 2, Err: errors.New("no answer within 3s")},
	)
	fmt.Println(err)
	var first *core.NodeError
	fmt.Println(errors.As(err, &first), first.Addr)
	// Output:
	// redlatch: node 0 (10.0.0.7:6379): connection refused
	// redlatch: node 2: no answer within 3s
	// true 10.0.0.7:6379
}

func ExampleOptions() {
	opts := &core.Options{Expiry: 10 * time.Second, MinValidity: 10 * time.Second}
	_, err := redlock.NewMutex([]core.Scripter{new(toy.Redis)}, "report", opts)
	fmt.Println(err)
	// Output: redlatch: invalid: Options.MinValidity is 10s, at most 9.893s (Expiry - drift - 5ms) wanted
}
