package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// A listener is one Subscribe call under way.
type listener struct {
	ready    chan struct{}
	payloads chan string
	done     chan error
}

func listen(ctx context.Context, s core.Subscriber, channel string) *listener {
	l := &listener{make(chan struct{}, 8), make(chan string, 64), make(chan error, 1)}
	go func() {
		l.done <- s.Subscribe(ctx, channel, func() { l.ready <- struct{}{} }, func(p string) { l.payloads <- p })
	}()
	return l
}

// wait returns the next value of c, or fails after d.
func wait[T any](t *testing.T, what string, c <-chan T, d time.Duration) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(d):
		t.Fatalf("no %s within %v", what, d)
		panic("unreachable")
	}
}

// publish publishes through s and returns how many connections heard it.
func publish(t *testing.T, node core.Scripter, channel, payload string) int64 {
	t.Helper()
	heard, err := node.Eval(t.Context(), `return {redis.call('PUBLISH', KEYS[1], ARGV[1])}`, []string{channel}, []string{payload})
	if err != nil {
		t.Fatal(err)
	}
	return heard[0]
}

func (s Suite) subscribe(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			addr, channel := Server(t), t.Name()
			before := runtime.NumGoroutine()
			node, end := c.Dial(t, addr)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l := listen(ctx, node, channel)
			wait(t, "confirmation", l.ready, 5*time.Second)
			var want, got []string
			for i := range 20 {
				want = append(want, fmt.Sprintf("%d\x00\r\n", i))
				if heard := publish(t, node, channel, want[i]); heard != 1 {
					t.Fatalf("%d connections heard message %d, want 1", heard, i)
				}
			}
			for range want {
				got = append(got, wait(t, "message", l.payloads, 5*time.Second))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			start := time.Now()
			cancel()
			if err := wait(t, "return", l.done, 5*time.Second); err != context.Canceled {
				t.Errorf("got %v, want the context's error", err)
			}
			if d := time.Since(start); d > Timeout-time.Second {
				t.Errorf("returned %v after the end of its context, want at once, not by the client's own timeout", d)
			}
			heard := publish(t, node, channel, "late")
			for heard != 0 && time.Since(start) < 5*time.Second { // the server has not seen the close yet
				heard = publish(t, node, channel, "late")
			}
			if heard != 0 {
				t.Errorf("%d connections are still subscribed", heard)
			}
			end()
			noGoroutineLeft(t, before)
		})
	}
}

// subscribeIdle waits for longer than a silent connection would last: the
// answers to the probes are neither messages nor confirmations.
func (s Suite) subscribeIdle(t *testing.T) {
	t.Parallel()
	addr := Server(t)
	var all []*listener
	for _, c := range s.Configurations {
		node, end := c.Dial(t, addr)
		defer end()
		l := listen(t.Context(), node, t.Name())
		wait(t, "confirmation for "+c.Name, l.ready, 5*time.Second)
		all = append(all, l)
	}
	time.Sleep(6 * time.Second)
	node, end := s.Configurations[0].Dial(t, addr)
	defer end()
	if heard := publish(t, node, t.Name(), "m"); heard != int64(len(all)) {
		t.Errorf("%d connections heard the message, want %d", heard, len(all))
	}
	for i, c := range s.Configurations {
		if got := wait(t, "message for "+c.Name, all[i].payloads, 5*time.Second); got != "m" {
			t.Errorf("%s: got %q, want m", c.Name, got)
		}
		if len(all[i].ready) != 0 || len(all[i].payloads) != 0 || len(all[i].done) != 0 {
			t.Errorf("%s: idle, got %d confirmations, %d messages, %d returns",
				c.Name, len(all[i].ready), len(all[i].payloads), len(all[i].done))
		}
	}
}

func (s Suite) subscribeDeadline(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			node, end := c.Dial(t, Server(t))
			defer end()
			for limit := 300 * time.Millisecond; limit < 10*time.Second; limit *= 2 {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				l := listen(ctx, node, t.Name())
				if err := wait(t, "return", l.done, limit+5*time.Second); err != context.DeadlineExceeded {
					t.Fatalf("got %v, want the context's error", err)
				}
				if len(l.ready) > 0 {
					return
				}
				// A slow machine has had no time to subscribe.
			}
			t.Error("no confirmation before a deadline")
		})
	}
}

func (s Suite) subscribeConnectionCut(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			r := NewProxy(t)
			node, end := c.Dial(t, r.Addr())
			defer end()
			l := listen(t.Context(), node, t.Name())
			wait(t, "confirmation", l.ready, 5*time.Second)
			r.Cut()
			if err := wait(t, "return", l.done, 5*time.Second); err == nil {
				t.Error("got no error from a subscription whose connection was cut")
			}
			if len(l.ready) != 0 {
				t.Error("the subscription reconnected by itself")
			}
			again := listen(t.Context(), node, t.Name())
			wait(t, "second confirmation", again.ready, 5*time.Second)
		})
	}
}

func (s Suite) subscribeConnectionSilent(t *testing.T) {
	t.Parallel()
	var all []*listener
	var proxies []*proxy.Proxy
	for _, c := range s.Configurations {
		r := NewProxy(t)
		node, end := c.Dial(t, r.Addr())
		defer end()
		l := listen(t.Context(), node, t.Name())
		wait(t, "confirmation for "+c.Name, l.ready, 5*time.Second)
		all, proxies = append(all, l), append(proxies, r)
	}
	before := make([]int, len(proxies))
	for i, r := range proxies {
		before[i] = r.Stats().Requests
		r.Stall(proxy.Both)
	}
	for i, c := range s.Configurations {
		err := wait(t, "return for "+c.Name, all[i].done, 10*time.Second)
		if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v from a silent connection, want an error that is not a context's", c.Name, err)
		}
		if proxies[i].Stats().Requests == before[i] {
			t.Errorf("%s: the silent connection was not asked for a sign of life", c.Name)
		}
	}
}

func (s Suite) subscribeRefused(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			node, end := c.Dial(t, "127.0.0.1:1") // nobody listens there
			defer end()
			l := listen(t.Context(), node, t.Name())
			if err := wait(t, "return", l.done, 10*time.Second); err == nil {
				t.Error("got no error without a server")
			}
			if len(l.ready) != 0 {
				t.Error("ready was called without a server")
			}
		})
	}
}
