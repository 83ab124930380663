// Package clients gives tests the programs that share locks: each with connections
// and a provider of its own, on the nodes of a site.
package clients

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
	"github.com/redlatch/redlatch/semaphore"
)

// quiet keeps go-redis from starting goroutines of its own.
var quiet = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}

// A Client is a program: its own go-redis clients and its own provider.
type Client struct {
	*redlatch.Provider
	Redis []*redis.Client
	Nodes []core.Scripter
	tb    testing.TB
}

// Patient returns opts such that a node has 12 s to answer, of the 30 s that are the
// default, unless the test has chosen: a machine that stands still for a moment then fails
// nothing. opts may be nil.
func Patient(opts *core.Options) *core.Options {
	var o core.Options
	if opts != nil {
		o = *opts
	}
	if o.Expiry == 0 && o.MinValidity == 0 {
		o.MinValidity = 18 * time.Second
	}
	return &o
}

// Hardly is the time between two polls of those who are to be woken.
const Hardly = 20 * time.Second

// Slow makes polling so rare that a waiter that comes in time was woken by push.
func Slow() *core.Options { return &core.Options{MinBusyWait: Hardly, MaxBusyWait: Hardly} }

// Connect returns a client of the nodes at addrs. When the test ends the provider is
// closed, then the connections. opts may be nil; they are made [Patient].
func Connect(tb testing.TB, addrs []string, opts *core.Options) *Client {
	tb.Helper()
	return ConnectWith(tb, addrs, opts, redis.Options{}, nil)
}

// ConnectWith is [Connect] with options for go-redis, and with something around each
// Scripter; wrap may be nil.
func ConnectWith(tb testing.TB, addrs []string, opts *core.Options, with redis.Options, wrap func(core.Scripter) core.Scripter) *Client {
	tb.Helper()
	c := &Client{tb: tb}
	for _, addr := range addrs {
		with := with
		with.Addr = addr
		with.DisableIdentity = true
		with.MaintNotificationsConfig = quiet
		// A dead node is found dead sooner; closing waits for that.
		with.DialerRetries, with.MinRetryBackoff, with.MaxRetryBackoff = 1, time.Millisecond, 5*time.Millisecond
		r := redis.NewClient(&with)
		tb.Cleanup(func() { r.Close() })
		c.Redis = append(c.Redis, r)
		var node core.Scripter = goredis.New(r)
		if wrap != nil {
			node = wrap(node)
		}
		c.Nodes = append(c.Nodes, node)
	}
	p, err := redlatch.New(Patient(opts), c.Nodes...)
	if err != nil {
		tb.Fatal(err)
	}
	c.Provider = p
	tb.Cleanup(func() { p.Close() })
	return c
}

// Mutex returns the mutex of that name.
func (c *Client) Mutex(name string) *redlock.Mutex {
	return c.Provider.Mutex(name)
}

// RWMutex returns the reader-writer lock of that name.
func (c *Client) RWMutex(name string) *redlock.RWMutex {
	return c.Provider.RWMutex(name)
}

// Semaphore returns the semaphore of that name.
func (c *Client) Semaphore(name string, limit int) *semaphore.Semaphore {
	c.tb.Helper()
	s, err := c.Provider.Semaphore(name, limit)
	if err != nil {
		c.tb.Fatal(err)
	}
	return s
}

// Name returns a name that no other test uses.
func Name(tb testing.TB) string {
	clean := strings.NewReplacer("/", ".", "{", "", "}", "").Replace(tb.Name())
	return fmt.Sprintf("%s.%08x", clean, rand.Uint32())
}

// Release releases a lease and reports an error.
func Release(tb testing.TB, l *core.Lease) {
	tb.Helper()
	if err := l.Release(context.WithoutCancel(tb.Context())); err != nil {
		tb.Errorf("release of %q: %v", l.Name(), err)
	}
}

// Take takes a lock, or ends the test.
func Take(tb testing.TB, lock func(context.Context) (*core.Lease, error)) *core.Lease {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	l, err := lock(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}
