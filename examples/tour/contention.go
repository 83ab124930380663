package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/examples/internal/embedded"
)

// An account is kept by somebody who knows nothing of locks: who adds to it reads the
// balance, thinks, and writes the new one.
type account struct{ balance atomic.Int64 }

func (a *account) add() {
	read := a.balance.Load()
	time.Sleep(40 * time.Millisecond)
	a.balance.Store(read + 1)
}

func contention(ctx context.Context, s *stage, servers []*embedded.Server) error {
	names := []string{"ada", "barbara", "edsger", "grace", "leslie"}
	const each = 4
	want := int64(len(names) * each)
	s.open("Five programs add 1 to an account, each four times: read, think, write")

	var unguarded account
	err := together(servers, names, func(int, *process) error {
		for range each {
			unguarded.add()
		}
		return nil
	})
	if err != nil {
		return err
	}

	var guarded account
	var c chart
	err = together(servers, names, func(_ int, p *process) error {
		mutex := p.locks.Mutex("account")
		for range each {
			asked := time.Now()
			err := redlatch.Do(ctx, mutex, func(context.Context) error {
				held := time.Now()
				c.add(p.name, asked, held, waits)
				guarded.add()
				c.add(p.name, held, time.Now(), '#')
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}

	lost := want - unguarded.balance.Load()
	s.say("Without a lock the balance is %2d of %d: %s", unguarded.balance.Load(), want, s.bad(fmt.Sprintf("%d additions were lost", lost)))
	if got := guarded.balance.Load(); got != want {
		return fmt.Errorf("with a mutex the balance is %d, want %d", got, want)
	}
	s.say("With a mutex the balance is   %d of %d: %s", want, want, s.good("each had the account to itself"))
	s.gap()
	c.draw(s, names, "# holds  . waits")

	holds := c.of('#')
	var idle []time.Duration
	for i := range holds[1:] {
		if holds[i+1].from.Before(holds[i].to) {
			return fmt.Errorf("%s and %s held the mutex together", holds[i].row, holds[i+1].row)
		}
		idle = append(idle, holds[i+1].from.Sub(holds[i].to))
	}
	slices.Sort(idle)
	s.say("Nobody asks over and over: a release wakes the next in line, and only that one.")
	s.say("Between two holders the mutex stood idle for %.1f ms (median of %d).", idle[len(idle)/2].Seconds()*1000, len(idle))
	return nil
}
