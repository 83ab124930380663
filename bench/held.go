package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A keeper is a client whose locks last until they are released, however long.
type keeper interface {
	Client
	// keep locks name. release returns errLost if the lock was lost meanwhile.
	keep(ctx context.Context, name string) (release func(context.Context) error, err error)
}

var errLost = errors.New("bench: the lock was lost while it was held")

// Held is what many leases cost that are held and otherwise left alone.
type Held struct {
	Contender  Contender
	Leases     int
	Commands   float64 // a second
	ClientCPU  float64 // of this process, in processors
	ServerCPU  float64 // in processors
	Bytes      float64 // of heap and stacks, for a lease
	Goroutines int     // more than without leases, the fewest seen
	Peak       int     // the most seen, while leases are extended
	Lost       int     // leases that ended before they were released
}

// MeasureHeld holds leases on names of their own for a while, which should be twice the
// time between extensions or another multiple. They are all taken at about the same time, so
// they are extended at about the same time; the while begins and ends halfway between.
func MeasureHeld(ctx context.Context, s *Servers, c Contender, leases int, during time.Duration) (_ Held, err error) {
	h := Held{Contender: c, Leases: leases}
	var count Counter
	client, err := c.Dial(s.Addrs(1), &count)
	if err != nil {
		return h, fmt.Errorf("%v: %w", c, err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	k, ok := client.(keeper)
	if !ok {
		return h, fmt.Errorf("bench: %v does not keep leases", c)
	}
	if _, err := crowd(ctx, client, 64, time.Second/2); err != nil { // connections, pools
		return h, fmt.Errorf("%v: %w", c, err)
	}
	memory, goroutines := inUse(), runtime.NumGoroutine()

	releases := make([]func(context.Context) error, leases)
	err = each(leases, func(i int) (err error) {
		releases[i], err = k.keep(ctx, fmt.Sprintf("held:%d", i))
		return err
	})
	if err != nil {
		return h, fmt.Errorf("%v: %w", c, err)
	}
	h.Bytes = float64(inUse()-memory) / float64(leases)
	sleep(ctx, during/4)
	h.Goroutines = 1 << 30
	cpu, err := s.cpu(ctx, 1)
	began, sent, own := time.Now(), count.Commands(), ownCPU()
	for time.Since(began) < during && ctx.Err() == nil {
		now := runtime.NumGoroutine() - goroutines
		h.Goroutines, h.Peak = min(h.Goroutines, now), max(h.Peak, now)
		sleep(ctx, 5*time.Millisecond)
	}
	after, err2 := s.cpu(ctx, 1)
	seconds := time.Since(began).Seconds()
	h.Commands = float64(count.Commands()-sent) / seconds
	h.ClientCPU = (ownCPU() - own).Seconds() / seconds
	h.ServerCPU = (after - cpu).Seconds() / seconds

	var lost atomic.Int64
	err3 := each(leases, func(i int) error {
		err := releases[i](ctx)
		if errors.Is(err, errLost) {
			lost.Add(1)
			return nil
		}
		return err
	})
	h.Lost = int(lost.Load())
	if err := errors.Join(err, err2, err3, ctx.Err()); err != nil {
		return h, fmt.Errorf("%v: %w", c, err)
	}
	return h, nil
}

// each calls f for 0 to n-1, in 64 goroutines.
func each(n int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, 64)
	for g := range errs {
		wg.Go(func() {
			for i := g; i < n && errs[g] == nil; i += len(errs) {
				errs[g] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// inUse returns the bytes of heap and stacks after two collections: the first one
// leaves what pools keep.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// ownCPU returns the processor time that this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
