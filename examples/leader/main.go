// Command leader elects one of several candidates, again and again: who leads is who
// holds a mutex, and redlatch.Do gives the work a context that ends with the leadership.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/examples/internal/connect"
)

// campaign calls lead whenever this process is the leader, until ctx ends or lead fails.
// Lead returns nil to step down, and must return soon when its context ends. Servers that
// are away cost a term, never the candidacy.
func campaign(ctx context.Context, office redlatch.Locker, lead func(ctx context.Context) error) error {
	office = redlatch.WaitForReady(office)
	for {
		led, failed := false, error(nil)
		err := redlatch.Do(ctx, office, func(ctx context.Context) error {
			led, failed = true, lead(ctx)
			return failed
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case !led || failed != nil:
			return err // waiting would not help
		case err != nil:
			log.Print(err) // the term was lost, or nobody heard of its end: stand for election again
		}
	}
}

var term = flag.Duration("term", 300*time.Millisecond, "how long a leader stays; so short a term is for the show")

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	locks, end, err := connect.Open(&redlatch.Options{Expiry: 5 * time.Second})
	if err != nil {
		return err
	}
	defer end()
	office := locks.Mutex("leader")

	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var terms atomic.Int32
	var candidates sync.WaitGroup
	for _, name := range []string{"ada", "barbara", "edsger"} {
		candidates.Go(func() {
			err := campaign(ctx, office, func(ctx context.Context) error {
				lease, _ := redlatch.FromContext(ctx)
				fmt.Printf("%-8s leads, term %d\n", name, lease.Token())
				select {
				case <-time.After(*term):
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
