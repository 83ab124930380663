package waiting_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// A crowd of goroutines of one process, each with a name of its own, is served by a client
// with ten connections without an error: those that wait for this process are not told of
// the server. Close gives back what all of them hold.
func TestCrowdWithANameEach(t *testing.T) {
	const goroutines, rounds = 10_000, 2
	s := clients.One(t)
	c := clients.ConnectWith(t, s.Addrs, &core.Options{Expiry: 5 * time.Minute, MinValidity: 5*time.Minute - 6*time.Second}, redis.Options{PoolSize: 10}, nil)
	prefix := clients.Name(t)
	var wg sync.WaitGroup
	var failed atomic.Int64
	complain := func(what string, err error) {
		if failed.Add(1) <= 10 {
			t.Errorf("%s: %v", what, err)
		}
	}
	began := time.Now()
	for i := range goroutines {
		m := c.Mutex(fmt.Sprint(prefix, i))
		wg.Go(func() {
			for range rounds {
				lease, err := m.Lock(t.Context())
				if err != nil {
					complain("Lock", err)
				} else if err := lease.Release(t.Context()); err != nil {
					complain("Release", err)
				}
			}
			if _, err := m.Lock(t.Context()); err != nil {
				complain("Lock", err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d pairs and %d leases in %v, %d failures", goroutines*rounds, goroutines, time.Since(began), failed.Load())
	began = time.Now()
	if err := c.Close(); err != nil {
		t.Errorf("Close: %.300v", err)
	}
	t.Logf("closed in %v", time.Since(began))
	s.Clean(t, prefix)
}
