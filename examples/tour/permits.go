package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/examples/internal/embedded"
	"github.com/redlatch/redlatch/semaphore"
)

func permits(ctx context.Context, s *stage, servers []*embedded.Server) error {
	s.open("A semaphore: six programs, three permits, each with a slot number")
	names := []string{"ada", "barbara", "edsger", "grace", "leslie", "tony"}
	const limit = 3

	var c chart
	err := together(servers, names, func(i int, p *process) error {
		pool, err := p.locks.Semaphore("printers", limit)
		if err != nil {
			return err
		}
		for range 2 {
			asked := time.Now()
			permit, err := pool.Acquire(ctx)
			if err != nil {
				return err
			}
			held := time.Now()
			c.add(p.name, asked, held, waits)
			time.Sleep(time.Duration(100+30*i) * time.Millisecond)
			c.add(p.name, held, time.Now(), byte('0'+permit.Slot()))
			if err := permit.Release(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.draw(s, names, "0-2 holds that slot  . waits")
	for slot := range limit {
		holds := c.of(byte('0' + slot))
		for i := range holds[1:] {
			if holds[i+1].from.Before(holds[i].to) {
				return fmt.Errorf("slot %d had two holders", slot)
			}
		}
	}
	s.say("Slots 0 to 2, each with one holder at a time: a printer, a shard or a port for each permit.")
	return majority(ctx, s, servers)
}

// majority shows why a semaphore lives on one server: it takes permits as a mutex takes
// nodes, two of three, which lets three holders have two permits.
func majority(ctx context.Context, s *stage, servers []*embedded.Server) error {
	s.gap()
	s.say("Semaphores live on one server. On a majority they would not hold; with two permits:")
	s.gap()
	s.print("   %-8s %-10s %-10s %s\n", "", "server 1", "server 2", "server 3")
	const limit = 2
	for i, name := range []string{"ada", "barbara", "edsger"} {
		p, err := start(name, servers)
		if err != nil {
			return err
		}
		defer p.stop()
		row := []string{"-", "-", "-"}
		for _, node := range []int{i, (i + 1) % 3} {
			alone, err := semaphore.New(goredis.New(p.clients[node]), "majority", limit, options)
			if err != nil {
				return err
			}
			permit, err := alone.TryAcquire(ctx)
			if err != nil {
				return err
			}
			defer permit.Release(ctx)
			row[node] = "permit"
		}
		s.print("   %-8s %-10s %-10s %-10s has 2 of 3: a majority\n", name, row[0], row[1], row[2])
	}

	// Every server is full, and has let in no more than its two.
	for i, server := range servers {
		p, err := start("tony", []*embedded.Server{server})
		if err != nil {
			return err
		}
		defer p.stop()
		alone, err := p.locks.Semaphore("majority", limit)
		if err != nil {
			return err
		}
		if _, err := alone.TryAcquire(ctx); !errors.Is(err, redlatch.ErrNotAcquired) {
			return fmt.Errorf("server %d: got %v, want it to be full", i+1, err)
		}
	}
	s.print("   %-8s %-10s %-10s %-10s %s\n", "", "2 of 2", "2 of 2", "2 of 2", s.bad("three holders of two permits"))
	return nil
}
