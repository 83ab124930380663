package deployments_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
)

// handOvers are the times at which a mutex was granted to one of several programs that all
// want it again and again.
type handOvers struct {
	mu sync.Mutex
	at []time.Time
}

// since counts those after t.
func (h *handOvers) since(t time.Time) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.at) - 1; i >= 0 && h.at[i].After(t); i-- {
		n++
	}
	return n
}

// contend starts so many programs and ends them with the test.
func contend(t *testing.T, programs int, dial func() core.Scripter, name string) *handOvers {
	h := &handOvers{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	// A release that the old primary alone has got costs the others an expiry.
	opts := &core.Options{Expiry: 2 * time.Second, MinValidity: time.Second}
	for range programs {
		m := mutex(t, dial(), name, opts)
		wg.Go(func() {
			for ctx.Err() == nil {
				lease, err := m.Lock(ctx)
				if err != nil { // a failover fails calls that have had no answer before
					continue
				}
				h.mu.Lock()
				h.at = append(h.at, time.Now())
				h.mu.Unlock()
				time.Sleep(time.Millisecond)
				_ = lease.Release(context.WithoutCancel(ctx))
			}
		})
	}
	return h
}

// TestPlannedFailoverKeepsPush fails over while the old primary is alive. For seconds it
// does not know that it is not the primary any more, and serves the subscriptions that it
// has, on which nothing is published. Waiters are woken again long before it is demoted.
func TestPlannedFailoverKeepsPush(t *testing.T) {
	t.Parallel() // most of it is waiting
	for _, d := range sentinelClients {
		t.Run(d.client, func(t *testing.T) {
			s := redistest.StartSentinel(t, nil)
			redistest.NeedFaults(t, s.Servers())
			h := contend(t, 8, func() core.Scripter { return d.dial(t, s.Addrs(), s.Name()) }, t.Name())
			const brisk = 20 // hand-overs in a second; by polls alone there are two or three
			busy := func() bool { return h.since(time.Now().Add(-time.Second)) >= brisk }
			eventually(t, 20*time.Second, "waiters are woken before the failover", busy)

			old, err := s.Primary(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sentinel := redis.NewSentinelClient(&redis.Options{Addr: s.Addrs()[0]})
			defer sentinel.Close()
			began := time.Now()
			if err := sentinel.Failover(t.Context(), s.Name()).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Await(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			over := time.Now()
			c := direct(t, old.Addr())
			demoted := func() bool { return c.Do(t.Context(), "ROLE").Val().([]any)[0] != "master" }
			if demoted() {
				t.Fatal("the old primary was demoted at once, so nothing was heard on it for no time")
			}
			eventually(t, 30*time.Second, "waiters are woken again", func() bool {
				return time.Since(over) > time.Second && busy()
			})
			if demoted() {
				t.Errorf("waiters were woken again %v after the failover, when the old primary had been demoted", time.Since(over).Round(time.Millisecond))
			}
			t.Logf("new primary after %v; woken again %v after that", over.Sub(began).Round(time.Millisecond), time.Since(over).Round(time.Millisecond))
			eventually(t, 30*time.Second, "the old primary is demoted", demoted)
			rates := make([]int, 0, 16)
			for at := began.Add(-2 * time.Second); at.Before(time.Now()); at = at.Add(time.Second) {
				rates = append(rates, h.since(at)-h.since(at.Add(time.Second)))
			}
			t.Logf("hand-overs a second, from 2 s before on: %v", rates)
		})
	}
}
