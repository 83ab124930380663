package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/examples/internal/embedded"
)

func outage(ctx context.Context, s *stage, servers []*embedded.Server) error {
	s.open("A server dies, then a second one")
	grace, err := start("grace", servers)
	if err != nil {
		return err
	}
	defer grace.stop()
	held := grace.locks.Mutex("held")
	other := grace.locks.Mutex("other")
	lease, err := held.Lock(ctx)
	if err != nil {
		return err
	}
	s.event("grace", "holds a mutex")

	servers[0].Kill()
	s.event("server 1", "dies")
	before := time.Now()
	second, err := other.Lock(ctx)
	if err != nil {
		return err
	}
	s.event("grace", "takes another mutex on the two that are left, in %.1f ms", time.Since(before).Seconds()*1000)
	if err := second.Release(ctx); err != nil {
		return err
	}
	was := lease.ValidUntil()
	if err := until(ctx, lease, func() bool { return lease.ValidUntil().Sub(was) > options.Expiry }); err != nil {
		return err
	}
	s.event("grace", "%s", s.good("still holds the first: its lease has been extended past its old end"))

	servers[1].Kill()
	s.event("server 2", "dies: there is no majority any more")
	before = time.Now()
	if _, err := other.Lock(ctx); !isNodeError(err) {
		return fmt.Errorf("lock without a majority: got %v, want the nodes' errors", err)
	}
	s.event("grace", "asks for the other mutex: after %.1f ms an error that names both servers", time.Since(before).Seconds()*1000)
	select {
	case <-lease.Lost():
	case <-ctx.Done():
		return ctx.Err()
	}
	s.event("grace", "%s", s.bad("loses its lease: nobody confirmed it any more, and its time is up"))

	for _, dead := range servers[:2] {
		if err := dead.Restart(); err != nil {
			return err
		}
	}
	s.event("servers", "1 and 2 come back, with their data")
	again, err := redlatch.WaitForReady(held).Lock(ctx) // a client may take a moment to find out
	if err != nil {
		return err
	}
	s.event("grace", "holds the mutex again, token %d", again.Token())
	if again.Token() <= lease.Token() {
		return fmt.Errorf("token %d came after %d", again.Token(), lease.Token())
	}
	return again.Release(ctx)
}

// until waits for something to become true while the lease is held.
func until(ctx context.Context, lease *redlatch.Lease, yes func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-lease.Lost():
			return context.Cause(lease.Context())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// isNodeError reports whether servers failed, as opposed to: others hold the lock.
func isNodeError(err error) bool {
	var failed *redlatch.NodeError
	return errors.As(err, &failed) && !errors.Is(err, redlatch.ErrNotAcquired)
}
