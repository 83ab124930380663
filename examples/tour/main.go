// Command tour shows what redlatch does, on three Redis servers inside this process:
// who waits, who holds, what happens when a holder or a server dies. It takes about
// ten seconds and checks what it says.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/examples/internal/embedded"
)

var options = leases(2 * time.Second)

// leases returns the options of the tour's locks. Expiry is how long the others wait when a
// holder dies; the default is 30 s. Half of it is the time that an attempt may take, so that
// a busy machine does not spoil the tour.
func leases(expiry time.Duration) *redlatch.Options {
	return &redlatch.Options{Expiry: expiry, MinValidity: expiry / 2}
}

func main() {
	expiry := flag.Duration("expiry", options.Expiry, "how long the lease of a dead holder lasts; one of some seconds outlasts a machine that stands still")
	flag.Parse()
	options = leases(*expiry)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := tour(ctx, newStage(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1)
	}
}

func tour(ctx context.Context, s *stage) error {
	began := time.Now()
	servers, err := embedded.Start(3)
	if err != nil {
		return err
	}
	defer embedded.Stop(servers)

	s.title("redlatch: the tour")
	s.say("Three Redis servers run inside this program, on %s, %s and %s.", servers[0].Addr(), servers[1].Addr(), servers[2].Addr())
	s.say("They know nothing of each other. Who has two of the three has the lock.")

	for _, chapter := range []func(context.Context, *stage, []*embedded.Server) error{
		contention, crash, outage, readers, permits,
	} {
		if err := chapter(ctx, s, servers); err != nil {
			return err
		}
	}
	s.title("That was the tour, in %.0f seconds. The code is in examples/tour.", time.Since(began).Seconds())
	return nil
}
