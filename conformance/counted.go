package conformance

import (
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// dialer returns dial with clients that are closed only once their calls have come
// back, as a program closes them: redlatch leaves calls that hang, and some clients
// must not be closed under a call. A client that takes longer than limit to close ends the
// process: nothing else ends a clean-up, and the test would wait for its own limit.
func dialer(dial func(t *testing.T, addr string) core.Scripter, tag string, limit time.Duration) func(*testing.T, string) core.Scripter {
	return func(t *testing.T, addr string) core.Scripter {
		var watchdog *time.Timer
		t.Cleanup(func() { // after those that dial registers
			if watchdog != nil { // dial has returned
				watchdog.Stop()
			}
			pprof.SetGoroutineLabels(context.Background())
		})
		s := &counted{Scripter: dial(t, addr)}
		t.Cleanup(func() { // before them
			for end := time.Now().Add(limit); s.calls.Load() > 0 && !t.Failed() && time.Now().Before(end); {
				time.Sleep(time.Millisecond) // what hangs longer, goroutinesLeft reports
			}
			pprof.SetGoroutineLabels(label(tag))
			watchdog = time.AfterFunc(limit, func() {
				_, stacks := labelled(labelKey, tag)
				panic(fmt.Sprintf("%s: what dial has registered with t.Cleanup, such as the client's Close, has not returned after %v:\n%s\nrule: %s",
					t.Name(), limit, strings.Join(stacks, "\n"), leftRule))
			})
		})
		if sub, ok := s.Scripter.(core.Subscriber); ok {
			return &countedSubscriber{s, sub}
		}
		return s
	}
}

// counted knows how many calls of a Scripter there were, and how many are under way.
type counted struct {
	core.Scripter
	made, calls atomic.Int64
}

func (c *counted) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	c.made.Add(1)
	c.calls.Add(1)
	defer c.calls.Add(-1)
	return c.Scripter.EvalSha(ctx, sha1, keys, args)
}

func (c *counted) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	c.made.Add(1)
	c.calls.Add(1)
	defer c.calls.Add(-1)
	return c.Scripter.Eval(ctx, source, keys, args)
}

func (c *counted) under() core.Scripter { return c.Scripter }

func (c *counted) given() int64 { return c.made.Load() }

// given returns how many calls for a script the client under test has been given.
func (n node) given() int64 { return n.s.(interface{ given() int64 }).given() }

// given returns how many the clients of all nodes have been given.
func (c *trial) given() (sum int64) {
	for _, n := range c.nodes {
		sum += n.given()
	}
	return sum
}

// underWay calls start, which makes a call of a server that is stalled, and returns when the
// call is on its way: the client has been given it, and the proxy has seen something of it.
// A client whose own ping has met the stall may keep all that comes after to itself, so
// the proxy is not waited for longer than a second.
func (c *trial) underWay(seen func(proxy.Stats) int, start func()) {
	given, before := c.given(), c.total(seen)
	start()
	c.until("a call of the client", func() bool { return c.given() > given })
	for end := time.Now().Add(time.Second); c.total(seen) == before && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

// Check implements core.Checker, whether or not the Scripter does.
func (c *counted) Check() error {
	if checker, ok := c.Scripter.(core.Checker); ok {
		return checker.Check()
	}
	return nil
}

type countedSubscriber struct {
	*counted
	sub core.Subscriber
}

func (c *countedSubscriber) Subscribe(ctx context.Context, channel string, ready func(), message func(string)) error {
	c.calls.Add(1)
	defer c.calls.Add(-1)
	return c.sub.Subscribe(ctx, channel, ready, message)
}
