package deployments_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	redigoclient "github.com/gomodule/redigo/redis"
	"github.com/redis/go-redis/v9"
	rueidisclient "github.com/redis/rueidis"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/adapters/redigo"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// addressClients dial one address, with a password if it is not empty.
var addressClients = []dialer{
	{"goredis", func(t *testing.T, addrs []string, password string) core.Scripter {
		c := redis.NewClient(&redis.Options{
			Addr: addrs[0], Password: password, ContextTimeoutEnabled: true, PoolSize: 64,
			DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout,
		})
		t.Cleanup(func() { _ = c.Close() })
		return goredis.New(c)
	}},
	{"redigo", func(t *testing.T, addrs []string, password string) core.Scripter {
		pool := &redigoclient.Pool{
			MaxIdle: 16, MaxActive: 64, Wait: true, IdleTimeout: 4 * time.Minute,
			DialContext: func(ctx context.Context) (redigoclient.Conn, error) {
				return redigoclient.DialContext(ctx, "tcp", addrs[0], redigoclient.DialPassword(password),
					redigoclient.DialConnectTimeout(timeout), redigoclient.DialReadTimeout(timeout), redigoclient.DialWriteTimeout(timeout))
			},
		}
		t.Cleanup(func() { _ = pool.Close() })
		return redigo.New(pool)
	}},
	{"rueidis", rueidisAt(func(o *rueidisclient.ClientOption) {})},
	{"rueidis always pipelining", rueidisAt(func(o *rueidisclient.ClientOption) { o.AlwaysPipelining = true })},
	{"rueidis without pipelining", rueidisAt(func(o *rueidisclient.ClientOption) { o.DisableAutoPipelining = true })},
	{"rueidis RESP2", rueidisAt(func(o *rueidisclient.ClientOption) { o.AlwaysRESP2, o.DisableCache = true, true })},
}

func rueidisAt(change func(o *rueidisclient.ClientOption)) func(*testing.T, []string, string) core.Scripter {
	return func(t *testing.T, addrs []string, password string) core.Scripter {
		o := rueidisclient.ClientOption{InitAddress: addrs, Password: password, ConnWriteTimeout: timeout, ForceSingleClient: true}
		o.Dialer.Timeout = timeout
		change(&o)
		return dialRueidis(t, o)
	}
}

// crowd has n calls under way at once, so that the client keeps as many connections as it
// ever will.
func crowd(t *testing.T, s core.Scripter, n int) {
	t.Helper()
	done := make(chan error, n)
	for range n {
		go func() {
			_, err := s.Eval(t.Context(), "local n = 0 for i = 1, 500000 do n = n + i end return {1}", []string{t.Name()}, nil)
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// all takes n locks, one right after the other, with one attempt each.
func all(t *testing.T, s core.Scripter, n int) {
	t.Helper()
	for i := range n {
		lease, err := mutex(t, s, t.Name()+string(rune('a'+i)), nil).TryLock(t.Context())
		if err != nil {
			t.Errorf("TryLock %d of %d: got %v, want a lease", i+1, n, err)
			continue
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Errorf("Release %d of %d: got %v, want none", i+1, n, err)
		}
	}
}

// TestConnectionsKilled has the server end every connection, and be fine at once.
func TestConnectionsKilled(t *testing.T) {
	server := redistest.Start(t, 1, nil)
	redistest.NeedFaults(t, server)
	redistest.NeedReal(t, server)
	for _, d := range addressClients {
		t.Run(d.client, func(t *testing.T) {
			s := d.dial(t, redistest.Addrs(server), "")
			lease := lock(t, mutex(t, s, t.Name(), nil))
			kill := func() {
				t.Helper()
				crowd(t, s, 16)
				if n := direct(t, server[0].Addr()).ClientKillByFilter(t.Context(), "TYPE", "normal").Val(); n == 0 {
					t.Fatal("the server had no connection to end")
				}
			}
			kill()
			all(t, s, 16)
			kill()
			if err := lease.Release(t.Context()); err != nil {
				t.Errorf("Release: got %v, want none", err)
			}
			if n := direct(t, server[0].Addr()).Exists(t.Context(), t.Name()).Val(); n != 0 {
				t.Error("the key of the released lease is still there")
			}
		})
	}
}

// TestDemotedBehindOneAddress moves an address to another server, which is promoted: the
// client's connections stay with the old one, which is its replica and refuses to write.
func TestDemotedBehindOneAddress(t *testing.T) {
	for _, d := range addressClients {
		t.Run(d.client, func(t *testing.T) {
			servers := redistest.Start(t, 2, &redistest.Config{Args: []string{"--repl-diskless-sync-delay", "0"}})
			redistest.NeedFaults(t, servers)
			redistest.NeedReal(t, servers)
			old, next := direct(t, servers[0].Addr()), direct(t, servers[1].Addr())
			p, err := proxy.Start(servers[0].Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			follow := func(c *redis.Client, addr string) {
				t.Helper()
				host, port, _ := strings.Cut(addr, ":")
				if err := c.Do(t.Context(), "REPLICAOF", host, port).Err(); err != nil {
					t.Fatal(err)
				}
			}
			s := d.dial(t, []string{p.Addr()}, "")
			heard := make(chan string, 1)
			subscribed, gone := make(chan struct{}), make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				gone <- s.(core.Subscriber).Subscribe(ctx, t.Name(), func() { close(subscribed) }, func(m string) { heard <- m })
			}()
			<-subscribed
			lease := lock(t, mutex(t, s, t.Name(), longLease))
			crowd(t, s, 16)
			follow(next, servers[0].Addr())
			eventually(t, 20*time.Second, "the lock is on the replica", func() bool {
				return next.Exists(t.Context(), t.Name()).Val() == 1
			})
			if err := next.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
				t.Fatal(err)
			}
			follow(old, servers[1].Addr())
			before := p.Stats()
			p.Redirect(servers[1].Addr())

			promised := lease.ValidUntil()
			all(t, s, 16)
			eventually(t, 10*time.Second, "an extension by the new primary", func() bool {
				return lease.ValidUntil().After(promised)
			})
			if err := lease.Release(t.Context()); err != nil {
				t.Errorf("Release: got %v, want none", err)
			}
			if n := next.Exists(t.Context(), t.Name()).Val(); n != 0 {
				t.Error("the key of the released lease is still there")
			}
			if now := p.Stats(); now.Accepted == before.Accepted {
				t.Errorf("no new connection was made (%+v), so that nothing was shown", now)
			}

			// A replica passes on what is published at its primary.
			eventually(t, 20*time.Second, "the old primary follows the new one", func() bool {
				return strings.Contains(old.Info(t.Context(), "replication").Val(), "master_link_status:up")
			})
			if err := next.Publish(t.Context(), t.Name(), "turn").Err(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-heard:
			case <-gone:
			case <-time.After(timeout):
				t.Error("the subscription neither hears what the new primary publishes nor ends")
			}
		})
	}
}

// TestPasswordMissing wants the server's word for it, and not what it makes of a long
// command that comes before a password.
func TestPasswordMissing(t *testing.T) {
	server := redistest.Start(t, 1, nil)
	redistest.NeedFaults(t, server)
	redistest.NeedReal(t, server)
	if err := direct(t, server[0].Addr()).ConfigSet(t.Context(), "requirepass", "right").Err(); err != nil {
		t.Fatal(err)
	}
	for _, d := range addressClients {
		for _, tt := range []struct{ name, password, want string }{
			{"none", "", "NOAUTH "}, {"wrong", "wrong", "WRONGPASS "},
		} {
			t.Run(d.client+"/"+tt.name, func(t *testing.T) {
				s := d.dial(t, redistest.Addrs(server), tt.password)
				for range 3 {
					_, err := s.EvalSha(t.Context(), strings.Repeat("0", 40), []string{"a", "b", "c", "d"}, make([]string, 12))
					if errors.Is(err, core.ErrNoScript) || err == nil || !strings.Contains(err.Error(), tt.want) {
						t.Errorf("got %v, want an error that says %q", err, tt.want)
					}
				}
			})
		}
		t.Run(d.client+"/right", func(t *testing.T) { all(t, d.dial(t, redistest.Addrs(server), "right"), 1) })
	}
}
