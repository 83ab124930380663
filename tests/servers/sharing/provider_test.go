package sharing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
	"github.com/redlatch/redlatch/tests/leaks"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

func TestSemaphoresOnTheFirstNode(t *testing.T) {
	s := clients.Three(t)
	name := clients.Name(t)
	l := clients.Take(t, s.Connect(t, nil).Semaphore(name, 2).Acquire)
	for i, node := range s.Plain(t) {
		want := int64(0)
		if i == 0 {
			want = 1
		}
		if got := node.ZCard(t.Context(), name).Val(); got != want {
			t.Errorf("node %d: got %d permits, want %d", i, got, want)
		}
	}
	clients.Release(t, l)
	s.Clean(t, name)
}

// The three kinds of one name have nothing to do with each other, but for the key that
// mutex and semaphore share with everybody else.
func TestKindsOfOneName(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	c := s.Connect(t, nil)
	m := clients.Take(t, c.Mutex(name).Lock)
	w := clients.Take(t, c.RWMutex(name).Lock)
	wrongType := func(what string, err error) {
		t.Helper()
		var node *core.NodeError
		if !errors.As(err, &node) || !redis.HasErrorPrefix(node.Err, "WRONGTYPE") || errors.Is(err, core.ErrNotAcquired) {
			t.Errorf("%s: got %v, want the node's WRONGTYPE", what, err)
		}
	}
	_, err := c.Semaphore(name, 1).TryAcquire(t.Context())
	wrongType("a semaphore where there is a mutex", err)
	clients.Release(t, m)
	sem := clients.Take(t, c.Semaphore(name, 1).Acquire)
	_, err = c.Mutex(name).TryLock(t.Context())
	wrongType("a mutex where there is a semaphore", err)
	clients.Release(t, w)
	clients.Release(t, sem)
	s.Clean(t, name)
}

func TestClose(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		before := goleak.IgnoreCurrent()
		semaphores := s.Addrs[0] == s.Plain(t)[0].Options().Addr // the first node lives
		name := clients.Name(t)
		other := s.Connect(t, nil)
		c := s.Connect(t, nil)
		held := []*core.Lease{
			clients.Take(t, c.Mutex(name+"a").Lock), clients.Take(t, c.RWMutex(name+"b").Lock), clients.Take(t, c.RWMutex(name+"c").RLock),
		}
		in := []*core.Lease{clients.Take(t, other.Mutex(name+"d").Lock), clients.Take(t, other.RWMutex(name+"e").Lock)}
		waits := map[string]*clients.Pending{
			"Lock":         clients.Wait(t, c.Mutex(name+"d").Lock),
			"RLock":        clients.Wait(t, c.RWMutex(name+"e").RLock),
			"RWMutex.Lock": clients.Wait(t, c.RWMutex(name+"e").Lock),
			"behind it":    clients.Wait(t, c.Mutex(name+"d").Lock),
		}
		if semaphores {
			held = append(held, clients.Take(t, c.Semaphore(name+"f", 2).Acquire))
			in = append(in, clients.Take(t, other.Semaphore(name+"g", 1).Acquire))
			waits["Acquire"] = clients.Wait(t, c.Semaphore(name+"g", 1).Acquire)
			s.Queued(t, clients.Semaphore, name+"g", 1)
		}
		s.Queued(t, clients.Mutex, name+"d", 1)
		s.Queued(t, clients.RW, name+"e", 1)

		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for what, w := range waits {
			if _, err := w.Result(); !errors.Is(err, core.ErrClosed) {
				t.Errorf("%s: got %v, want %v", what, err, core.ErrClosed)
			}
		}
		for _, l := range held {
			if cause := context.Cause(l.Context()); !errors.Is(cause, core.ErrReleased) || !errors.Is(cause, core.ErrClosed) {
				t.Errorf("%q: got the cause %v, want %v and %v", l.Name(), cause, core.ErrReleased, core.ErrClosed)
			}
			select {
			case <-l.Lost():
				t.Errorf("%q: Close closed Lost", l.Name())
			default:
			}
			if err := l.Release(t.Context()); err != nil {
				t.Errorf("%q: release after Close: %v", l.Name(), err)
			}
		}
		if err := c.Close(); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		late := map[string]func(context.Context) (*core.Lease, error){
			"Lock": c.Mutex(name).Lock, "TryLock": c.Mutex(name).TryLock,
			"RLock": c.RWMutex(name).RLock, "TryRLock": c.RWMutex(name).TryRLock,
			"Acquire": c.Semaphore(name, 1).Acquire, "TryAcquire": c.Semaphore(name, 1).TryAcquire,
		}
		for what, call := range late {
			if _, err := call(t.Context()); !errors.Is(err, core.ErrClosed) {
				t.Errorf("%s after Close: got %v, want %v", what, err, core.ErrClosed)
			}
		}
		for _, l := range in {
			clients.Release(t, l)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		s.Clean(t, name)
		for i, node := range s.Plain(t) {
			if channels := node.PubSubChannels(t.Context(), s.Key("redlatch:*")).Val(); len(channels) != 0 {
				t.Errorf("node %d: subscriptions are left: %q", i, channels)
			}
		}
		for _, r := range append(c.Redis, other.Redis...) {
			r.Close()
		}
		if err := leaks.Find(before, goleak.IgnoreAnyFunction("github.com/redlatch/redlatch/internal/proxy.(*link).run")); err != nil {
			t.Error(err)
		}
	})
}

// Close ends in time although nodes hang.
func TestCloseWithHungNodes(t *testing.T) {
	t.Parallel() // it waits for most of the time
	for _, tt := range []struct {
		name string
		hung []int
		ok   bool
	}{
		{"one of three", []int{1}, true},
		{"all of three", []int{0, 1, 2}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const window = 4 * time.Second
			opts := &core.Options{Expiry: 2 * window, MinValidity: window}
			s, proxies := clients.Three(t).Proxied(t)
			name := clients.Name(t)
			// The client does not give up on reads before.
			c := clients.ConnectWith(t, s.Addrs, opts, redis.Options{ReadTimeout: 20 * time.Second, MaxRetries: -1}, nil)
			a, b := clients.Take(t, c.Mutex(name+"a").Lock), clients.Take(t, c.RWMutex(name+"b").RLock)
			blocker := clients.Take(t, clients.Three(t).Connect(t, opts).Mutex(name+"c").Lock)
			w := clients.Wait(t, c.Mutex(name+"c").Lock)
			s.Queued(t, clients.Mutex, name+"c", 1)
			for _, i := range tt.hung {
				proxies[i].Stall(proxy.Both)
			}
			began := time.Now()
			err := c.Close()
			took := time.Since(began)
			t.Logf("Close took %v: %v", took, err)
			if took > window+5*time.Second {
				t.Errorf("Close took %v, want about %v at most", took, window)
			}
			if _, werr := w.Result(); !errors.Is(werr, core.ErrClosed) {
				t.Errorf("the waiting call: got %v, want %v", werr, core.ErrClosed)
			}
			for _, l := range []*core.Lease{a, b} {
				if cause := context.Cause(l.Context()); !errors.Is(cause, core.ErrReleased) || !errors.Is(cause, core.ErrClosed) {
					t.Errorf("%q: got the cause %v", l.Name(), cause)
				}
			}
			var node *core.NodeError
			if tt.ok && err != nil || !tt.ok && !errors.As(err, &node) {
				t.Errorf("got %v, want a node error: %v", err, !tt.ok)
			}
			if tt.ok { // others get in at once
				l := clients.Take(t, clients.Three(t).Connect(t, nil).Mutex(name+"a").Lock)
				clients.Release(t, l)
			}
			clients.Release(t, blocker)
			for _, p := range proxies {
				p.Resume()
			}
		})
	}
}
