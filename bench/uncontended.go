package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Uncontended is what one lock and unlock of a free name costs, with one goroutine.
type Uncontended struct {
	Contender Contender
	P50, P99  time.Duration
	Allocs    float64       // in the client's process
	Commands  float64       // sent to all nodes together
	CPU       time.Duration // of all nodes together
}

// MeasureUncontended times rounds of one pair of each contender, in rotating order, on
// the first n servers. After limit it makes do with the rounds that it has.
func MeasureUncontended(ctx context.Context, s *Servers, n int, cs []Contender, rounds int, limit time.Duration) ([]Uncontended, error) {
	clients := make([]Client, len(cs))
	defer func() {
		for _, c := range clients {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	results := make([]Uncontended, len(cs))
	own := make([][]string, len(cs))
	for i, c := range cs {
		own[i] = names(c.String())
		results[i].Contender = c
		var err error
		if results[i].Commands, err = commands(ctx, s, n, c, own[i]); err != nil {
			return nil, fmt.Errorf("%v: %w", c, err)
		}
		if clients[i], err = c.Dial(s.Addrs(n), nil); err != nil {
			return nil, fmt.Errorf("%v: %w", c, err)
		}
		if err := pairs(ctx, clients[i], own[i], 100); err != nil { // connections, script caches
			return nil, fmt.Errorf("%v: %w", c, err)
		}
	}

	times := make([][]time.Duration, len(cs))
	start := time.Now()
	for round := range rounds {
		if time.Since(start) > limit {
			rounds = round
			break
		}
		for turn := range cs {
			i := (round + turn) % len(cs)
			began := time.Now()
			err := clients[i].Hold(ctx, own[i][round%len(own[i])], nil)
			times[i] = append(times[i], time.Since(began))
			if err != nil {
				return nil, fmt.Errorf("%v: %w", cs[i], err)
			}
		}
	}

	const stretches = 10
	each := max(rounds/stretches, 50)
	for stretch := range stretches {
		for turn := range cs {
			i := (stretch + turn) % len(cs)
			allocs, cpu, err := costs(ctx, s, n, clients[i], own[i], each)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", cs[i], err)
			}
			results[i].Allocs += allocs / stretches
			results[i].CPU += cpu / stretches
		}
	}
	for i := range results {
		results[i].P50, results[i].P99 = Quantile(times[i], 0.5), Quantile(times[i], 0.99)
	}
	return results, nil
}

// names returns some names of the contender's own, to take one after the other: the
// release of a lock may go on in the background on some nodes, and then it is not free.
func names(of string) []string {
	own := make([]string, 64)
	for i := range own {
		own[i] = fmt.Sprintf("uncontended:%s:%d", of, i)
	}
	return own
}

// pairs locks and unlocks as often.
func pairs(ctx context.Context, c Client, own []string, count int) error {
	for i := range count {
		if err := c.Hold(ctx, own[i%len(own)], nil); err != nil {
			return err
		}
	}
	return nil
}

// commands returns how many commands a contender sends for a pair.
func commands(ctx context.Context, s *Servers, n int, c Contender, own []string) (_ float64, err error) {
	var count Counter
	client, err := c.Dial(s.Addrs(n), &count)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	if err := pairs(ctx, client, own, 100); err != nil {
		return 0, err
	}
	const sample = 1000
	before := count.Commands()
	if err := pairs(ctx, client, own, sample); err != nil {
		return 0, err
	}
	return float64(count.Commands()-before) / sample, nil
}

// costs returns the allocations and the servers' processor time for a pair.
func costs(ctx context.Context, s *Servers, n int, c Client, own []string, count int) (allocs float64, cpu time.Duration, err error) {
	before, err := s.cpu(ctx, n)
	if err != nil {
		return 0, 0, err
	}
	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	err = pairs(ctx, c, own, count)
	runtime.ReadMemStats(&end)
	if err != nil {
		return 0, 0, err
	}
	after, err := s.cpu(ctx, n)
	if err != nil {
		return 0, 0, err
	}
	return float64(end.Mallocs-start.Mallocs) / float64(count), (after - before) / time.Duration(count), nil
}
