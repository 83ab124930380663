package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Throughput is how many pairs of lock and unlock one client does where goroutines use
// it side by side on names of their own.
type Throughput struct {
	Contender Contender
	PerSecond float64
}

// MeasureThroughput runs each contender for three stretches, in rotating order.
func MeasureThroughput(ctx context.Context, s *Servers, cs []Contender, goroutines int, stretch time.Duration) (_ []Throughput, err error) {
	const stretches = 3
	clients := make([]Client, len(cs))
	defer func() {
		for _, c := range clients {
			if c != nil {
				err = errors.Join(err, c.Close())
			}
		}
	}()
	for i, c := range cs {
		if clients[i], err = c.Dial(s.Addrs(1), nil); err != nil {
			return nil, fmt.Errorf("%v: %w", c, err)
		}
		if _, err := crowd(ctx, clients[i], goroutines, stretch/10); err != nil {
			return nil, fmt.Errorf("%v: %w", c, err)
		}
	}
	results := make([]Throughput, len(cs))
	for round := range stretches {
		for turn := range cs {
			i := (round + turn) % len(cs)
			rate, err := crowd(ctx, clients[i], goroutines, stretch)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", cs[i], err)
			}
			results[i].Contender = cs[i]
			results[i].PerSecond += rate / stretches
		}
	}
	return results, nil
}

// crowd lets goroutines lock and unlock for a while and returns the pairs a second.
func crowd(ctx context.Context, c Client, goroutines int, stretch time.Duration) (float64, error) {
	var wg sync.WaitGroup
	var done atomic.Int64
	errs := make([]error, goroutines)
	began := time.Now()
	for g := range goroutines {
		wg.Go(func() {
			name := fmt.Sprintf("throughput:%d", g)
			for errs[g] == nil && time.Since(began) < stretch {
				if errs[g] = c.Hold(ctx, name, nil); errs[g] == nil {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), errors.Join(errs...)
}
