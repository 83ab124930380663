package adaptertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
	"github.com/redlatch/redlatch/redlock"
)

// idle is how many calls under way at once fill the client's pool.
const idle = 16

// fill leaves the client with as many idle connections as it makes for idle calls at once.
func fill(t *testing.T, r *proxy.Proxy, node core.Scripter) {
	t.Helper()
	r.Stall(proxy.Replies)
	done := make(chan error, idle)
	for range idle {
		go func() {
			_, err := node.Eval(t.Context(), `return {1}`, []string{"k"}, nil)
			done <- err
		}()
	}
	// As many as the client sends before an answer comes: it has a limit, or one connection.
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_ = r.Await(ctx, func(s proxy.Stats) bool { return s.Accepted >= idle })
	r.Resume()
	for range idle {
		if err := wait(t, "return", done, 2*Timeout); err != nil {
			t.Fatal(err)
		}
	}
}

// stale closes every idle connection of the client while the server is fine, as a
// firewall, a load balancer or CLIENT KILL does: neither a call nor a lease may pay for it.
func (s Suite) stale(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			r := NewProxy(t)
			node, end := c.Dial(t, r.Addr())
			defer end()
			fill(t, r, node)
			if r.Cut() == 0 {
				t.Fatal("the client kept no connection")
			}
			for i := range idle {
				if _, err := node.Eval(t.Context(), `return {1}`, []string{"k"}, nil); err != nil {
					t.Errorf("call %d of %d after all connections were closed: got %v, want an answer", i+1, idle, err)
				}
			}
			m, err := redlock.NewMutex([]core.Scripter{node}, t.Name(), nil)
			if err != nil {
				t.Fatal(err)
			}
			lease, err := m.Lock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fill(t, r, node)
			r.Cut()
			if err := lease.Release(t.Context()); err != nil {
				t.Errorf("Release after all connections were closed: got %v, want none", err)
			}
		})
	}
}

// dies has a server that takes connections and ends each at the first command: a call
// is sent again a few times, and then fails.
func (s Suite) dies(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			r := NewProxy(t)
			node, end := c.Dial(t, r.Addr())
			defer end()
			fill(t, r, node)
			r.Mark("dies")
			before := r.Stats()
			r.EndAt(true)
			start := time.Now()
			_, err := node.Eval(t.Context(), `return {1}`, []string{"dies"}, nil)
			r.EndAt(false)
			tries, fresh := r.Stats().Marked-before.Marked, r.Stats().Accepted-before.Accepted
			switch {
			case err == nil || errors.Is(err, core.ErrClosed):
				t.Errorf("got %v, want the connection's error", err)
			case tries < 1 || tries > 2*idle || fresh > idle:
				t.Errorf("the call was sent %d times over %d new connections, want an end", tries, fresh)
			case time.Since(start) > 2*Timeout:
				t.Errorf("the call came back after %v", time.Since(start))
			}
		})
	}
}

// closed closes the client: that is no lost connection, which passes.
func (s Suite) closed(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			node, end := c.Dial(t, Server(t))
			if _, err := node.Eval(t.Context(), `return {1}`, []string{"k"}, nil); err != nil {
				end()
				t.Fatal(err)
			}
			end()
			for range 2 {
				_, err := node.Eval(t.Context(), `return {1}`, []string{"k"}, nil)
				if !errors.Is(err, core.ErrClosed) || !s.IsClosed(err) {
					t.Errorf("got %v (%T), want core.ErrClosed with the client's own error in the chain", err, err)
				}
			}
		})
	}
}

// address wants where the server is.
func (s Suite) address(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			node, end := c.Dial(t, "127.0.0.1:1")
			defer end()
			if got := node.(core.Addresser).Addr(); got != "127.0.0.1:1" {
				t.Errorf("got %q, want the address that the client was given", got)
			}
		})
	}
}
