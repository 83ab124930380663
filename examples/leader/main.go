// Command leader elects one of several candidates, again and again: who leads is who
// holds a mutex, and core.Do gives the work a context that ends with the leadership.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/examples/internal/connect"
)

// campaign calls lead whenever this process is the leader, until ctx ends or lead fails.
// Lead returns to step down, and must return soon when its context ends.
func campaign(ctx context.Context, office core.Locker, lead func(ctx context.Context) error) error {
	for {
		err := core.Do(ctx, office, lead)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, core.ErrLost):
			// Somebody else may lead by now: stand for election again.
		case err != nil:
			return err
		}
	}
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	locks, end, err := connect.Open(&core.Options{Expiry: 5 * time.Second})
	if err != nil {
		return err
	}
	defer end()
	office, err := locks.Mutex("leader")
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var terms atomic.Int32
	var candidates sync.WaitGroup
	for _, name := range []string{"ada", "barbara", "edsger"} {
		candidates.Go(func() {
			err := campaign(ctx, office, func(ctx context.Context) error {
				lease, _ := core.FromContext(ctx)
				fmt.Printf("%-8s leads, term %d\n", name, lease.Token())
				select {
				case <-time.After(300 * time.Millisecond): // a short term, for the show
				case <-ctx.Done():
				}
				fmt.Printf("%-8s steps down\n", name)
				if terms.Add(1) == 6 { // enough of it
					cancel()
				}
				return nil
			})
			if err != nil {
				log.Printf("%s: %v", name, err)
			}
		})
	}
	candidates.Wait()
	return nil
}
