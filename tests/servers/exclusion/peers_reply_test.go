package exclusion_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// soon is far below the default expiry: what is gone by then was removed.
const soon = 5 * time.Second

// through returns a provider whose clients go through proxies and send again, or do not,
// what broke. The proxies' marks are set to name, and the scripts are cached.
func (f *fleet) through(t *testing.T, name string, retries int) ([]*proxy.Proxy, *redlatch.Provider) {
	t.Helper()
	ps, addrs := f.proxies(t)
	var nodes []core.Scripter
	for i, addr := range addrs {
		c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: retries})
		t.Cleanup(func() { _ = c.Close() })
		nodes = append(nodes, goredis.New(c))
		ps[i].Mark(name)
	}
	p := provider(t, nodes, nil)
	release(t, lock(t, mutex(t, p, "warm up")))
	f.absent(t, "warm up", soon)
	return ps, p
}

// dropped waits until the proxy has dropped the reply that it was to drop.
func dropped(t *testing.T, p *proxy.Proxy) {
	t.Helper()
	seen(t, p, "a reply to drop", func(st proxy.Stats) bool { return st.Dropped == 1 })
}

// 1: a reply is lost: the acquirer takes its own lock for another's, the releaser is
// told "not held", an orphan stays.
func TestPeer01ReplyLost(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		f := start(t, nodes, nil)
		for _, resends := range []bool{true, false} {
			retries := -1
			if resends {
				retries = 3
			}
			t.Run(fmt.Sprintf("%d nodes, client resends %v, acquire", nodes, resends), func(t *testing.T) {
				name := t.Name()
				ps, p := f.through(t, name, retries)
				ps[0].DropReply()
				lease, err := mutex(t, p, name).Lock(t.Context())
				dropped(t, ps[0]) // that may come after the answers of the others
				var failed *core.NodeError
				switch {
				case err == nil:
					release(t, lease)
				case nodes == 1 && !resends && errors.As(err, &failed) && !errors.Is(err, core.ErrNotAcquired):
				default:
					t.Errorf("Lock: %v", err)
				}
				f.absent(t, name, soon)
				release(t, lock(t, f.mutex(t, name, nil)))
			})
			t.Run(fmt.Sprintf("%d nodes, client resends %v, release", nodes, resends), func(t *testing.T) {
				name := t.Name()
				ps, p := f.through(t, name, retries)
				lease := lock(t, mutex(t, p, name))
				ps[0].DropReply()
				release(t, lease)
				dropped(t, ps[0])
				f.absent(t, name, soon)
			})
		}
	}
}

// 2: the caller's context is cancelled while the answers are on their way: nothing is
// rolled back.
func TestPeer02Cancelled(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		f := start(t, nodes, nil)
		t.Run(fmt.Sprintf("%d nodes, acquire", nodes), func(t *testing.T) {
			name := t.Name()
			ps, p := f.through(t, name, 3)
			for _, p := range ps {
				p.Stall(proxy.Replies)
			}
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			go func() {
				_, err := mutex(t, p, name).Lock(ctx)
				result <- err
			}()
			eventually(t, soon, "all nodes have granted", func() bool { return f.holding(t, name) == nodes })
			cancel()
			is(t, "Lock", <-result, errs{context.Canceled}, errs{core.ErrNotAcquired, context.DeadlineExceeded})
			for _, p := range ps {
				p.Resume()
			}
			f.absent(t, name, soon)
		})
		t.Run(fmt.Sprintf("%d nodes, release", nodes), func(t *testing.T) {
			name := t.Name()
			lease := lock(t, f.mutex(t, name, nil))
			eventually(t, soon, "all nodes have granted", func() bool { return f.holding(t, name) == nodes })
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := lease.Release(ctx); err != nil {
				t.Errorf("Release: %v", err)
			}
			f.absent(t, name, soon)
		})
		t.Run(fmt.Sprintf("%d nodes, cancelled during the release", nodes), func(t *testing.T) {
			name := t.Name()
			ps, p := f.through(t, name, 3)
			lease := lock(t, mutex(t, p, name))
			eventually(t, soon, "all nodes have granted", func() bool { return f.holding(t, name) == nodes })
			for _, p := range ps {
				p.Stall(proxy.Requests)
			}
			sent := make([]int, nodes)
			for i, p := range ps {
				sent[i] = p.Stats().Marked
			}
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			go func() { result <- lease.Release(ctx) }()
			for i, p := range ps {
				seen(t, p, "the release", func(st proxy.Stats) bool { return st.Marked > sent[i] })
			}
			cancel()
			var node *core.NodeError
			if err := <-result; !errors.Is(err, context.Canceled) || !errors.As(err, &node) {
				t.Errorf("got %v, want a NodeError that is Canceled", err)
			}
			for _, p := range ps {
				p.Resume()
			}
			f.absent(t, name, soon)
		})
	}
}

// 27, also 1: every request is delivered twice.
func TestPeer27DeliveredTwice(t *testing.T) {
	t.Parallel()
	f := start(t, 3, nil)
	name := t.Name()
	ps, addrs := f.proxies(t)
	for _, p := range ps {
		p.Mark(name)
		p.Duplicate(true)
	}
	opts := &core.Options{Expiry: 10 * time.Second, MinValidity: 3 * time.Second, ExtensionCadence: 50 * time.Millisecond}
	l := mutex(t, f.at(t, addrs, opts), name)
	last := int64(0)
	for range 5 {
		lease := lock(t, l)
		if lease.Token() <= last {
			t.Errorf("got token %d after %d", lease.Token(), last)
		}
		last = lease.Token()
		until := lease.ValidUntil()
		eventually(t, soon, "the lease is extended", func() bool { return moved(lease, until) })
		release(t, lease)
		f.absent(t, name, soon)
	}
	for i, p := range ps {
		if n := p.Stats().Duplicated; n < 5 {
			t.Errorf("node %d: %d requests were delivered twice, want at least 5", i, n)
		}
	}
}
