package exclusion_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
)

// A server that cannot serve, or will not, says so with an error reply, which is what
// the caller gets: never "not acquired".
var troubles = []struct {
	code string
	name string
	make func(t *testing.T, s, other *redistest.Server, key string) *redis.Options
}{
	{"LOADING", "it loads its data", makeLoad},
	{"READONLY", "it is a replica", makeReplica},
	{"NOPERM", "the user may not use the key", func(t *testing.T, s, _ *redistest.Server, _ string) *redis.Options {
		return user(t, s, "+@all", "~other:*", "&*")
	}},
	{"NOPERM", "the user may not run scripts", func(t *testing.T, s, _ *redistest.Server, _ string) *redis.Options {
		return user(t, s, "+@all", "-@scripting", "~*", "&*")
	}},
	{"", "the user may not run what the script runs", func(t *testing.T, s, _ *redistest.Server, _ string) *redis.Options {
		return user(t, s, "+@all", "-time", "~*", "&*")
	}},
	{"WRONGTYPE", "the key holds something else", func(t *testing.T, s, _ *redistest.Server, key string) *redis.Options {
		command(t, s, "HSET", key, "some", "thing")
		return &redis.Options{Addr: s.Addr()}
	}},
	{"OOM", "its memory is full", func(t *testing.T, s, _ *redistest.Server, _ string) *redis.Options {
		command(t, s, "CONFIG", "SET", "maxmemory", "1")
		return &redis.Options{Addr: s.Addr()}
	}},
}

func command(t *testing.T, s *redistest.Server, args ...any) {
	t.Helper()
	if err := client(t, s.Addr()).Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// user makes a user of the server.
func user(t *testing.T, s *redistest.Server, rules ...any) *redis.Options {
	t.Helper()
	command(t, s, append([]any{"ACL", "SETUSER", "limited", "reset", "on", ">secret"}, rules...)...)
	return &redis.Options{Addr: s.Addr(), Username: "limited", Password: "secret"}
}

// makeLoad makes the server load its data, slowly, until the test ends.
func makeLoad(t *testing.T, s, _ *redistest.Server, _ string) *redis.Options {
	t.Helper()
	command(t, s, "DEBUG", "POPULATE", "20000")
	command(t, s, "CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
	command(t, s, "CONFIG", "SET", "key-load-delay", "2000")
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), ReadTimeout: time.Minute, MaxRetries: -1})
	reloaded := make(chan error, 1)
	go func() { reloaded <- c.Do(context.Background(), "DEBUG", "RELOAD").Err() }()
	t.Cleanup(func() {
		quick := redis.NewClient(&redis.Options{Addr: s.Addr()})
		defer quick.Close()
		if err := quick.ConfigSet(context.Background(), "key-load-delay", "0").Err(); err != nil {
			t.Error(err)
		}
		if err := <-reloaded; err != nil {
			t.Errorf("DEBUG RELOAD: %v", err)
		}
		_ = c.Close()
	})
	ping := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = ping.Close() })
	eventually(t, soon, "the server loads", func() bool {
		return redis.HasErrorPrefix(ping.Get(t.Context(), "no such key").Err(), "LOADING")
	})
	return &redis.Options{Addr: s.Addr()}
}

// makeReplica makes the server a replica of the other.
func makeReplica(t *testing.T, s, other *redistest.Server, _ string) *redis.Options {
	t.Helper()
	host, port, err := net.SplitHostPort(other.Addr())
	if err != nil {
		t.Fatal(err)
	}
	command(t, s, "REPLICAOF", host, port)
	c := client(t, s.Addr())
	eventually(t, 20*time.Second, "the replica is in step", func() bool {
		info, err := c.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
	})
	return &redis.Options{Addr: s.Addr()}
}

func TestServerErrors(t *testing.T) {
	t.Parallel()
	for _, image := range redistest.Images(t) {
		for _, trouble := range troubles {
			t.Run(fmt.Sprintf("%s: %s", image, trouble.name), func(t *testing.T) {
				t.Parallel()
				f := start(t, 2, &redistest.Config{Image: image})
				redistest.NeedReal(t, f.servers)
				redistest.NeedFaults(t, f.servers) // given servers are not to be changed
				for _, th := range things[:3] {
					o := trouble.make(t, f.servers[0], f.servers[1], th.hold(th.name))
					c := redis.NewClient(o)
					t.Cleanup(func() { _ = c.Close() })
					p := provider(t, []core.Scripter{goredis.New(c)}, nil)
					l, err := th.make(p, th.name)
					if err != nil {
						t.Fatal(err)
					}
					_, err = l.TryLock(t.Context())
					wantReply(t, th.name+": TryLock", err, trouble.code)
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					_, err = l.Lock(ctx)
					wantReply(t, th.name+": Lock", err, trouble.code)
					if ctx.Err() != nil {
						t.Errorf("%s: Lock waited for an error to pass that no answer had come before", th.name)
					}
					cancel()
					if trouble.code == "LOADING" {
						break // once loading is enough
					}
				}
			})
		}
	}
}

// wantReply fails the test unless err is a node's, with the server's reply in it.
func wantReply(t *testing.T, what string, err error, code string) {
	t.Helper()
	var node *core.NodeError
	var reply redis.Error
	if !errors.As(err, &node) || !errors.As(err, &reply) || !strings.HasPrefix(reply.Error(), code) {
		t.Errorf("%s: got %v, want a NodeError with the reply %s", what, err, code)
	}
	is(t, what, err, nil, errs{core.ErrNotAcquired, core.ErrInvalid, context.DeadlineExceeded, context.Canceled})
}

// On several nodes the failures of a majority decide, and of a minority do not.
func TestServerErrorsOnSomeNodes(t *testing.T) {
	t.Parallel()
	for _, trouble := range troubles {
		if trouble.code != "WRONGTYPE" && trouble.code != "READONLY" && trouble.code != "LOADING" {
			continue // the others are errors of a script, too, as WRONGTYPE is
		}
		t.Run(trouble.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, 4, nil)
			redistest.NeedReal(t, f.servers)
			redistest.NeedFaults(t, f.servers)
			name := t.Name()
			nodes, primary := f.servers[:3], f.servers[3] // of those that become replicas
			l := mutex(t, f.at(t, redistest.Addrs(nodes), nil), name)
			for i, s := range nodes {
				trouble.make(t, s, primary, name)
				bad := fmt.Sprintf("%d of 3 nodes are bad", i+1)
				lease, err := l.TryLock(t.Context())
				if i == 0 {
					if err != nil {
						t.Fatalf("%s: %v", bad, err)
					}
					_, err = mutex(t, f.at(t, redistest.Addrs(nodes), nil), name).TryLock(t.Context())
					is(t, bad+": TryLock of a held lock", err, errs{core.ErrNotAcquired}, nil)
					release(t, lease)
				}
				// The good nodes' holds go. Until then they refuse, as if others had the lock.
				gone := func() {
					for _, c := range f.raw[i+1 : 3] {
						eventually(t, soon, "the hold is gone", func() bool { return c.Exists(t.Context(), name).Val() == 0 })
					}
				}
				if i > 0 {
					wantReply(t, bad+": TryLock", err, trouble.code)
					gone()
					_, err = l.Lock(t.Context())
					wantReply(t, bad+": Lock", err, trouble.code)
				}
				gone()
			}
		})
	}
}

// A node that stops serving while a call waits is ridden out.
func TestWaitsThroughReplica(t *testing.T) {
	t.Parallel()
	f := start(t, 2, nil)
	redistest.NeedReal(t, f.servers)
	redistest.NeedFaults(t, f.servers)
	s := f.servers[0]
	nodes := connect(t, s.Addr())
	lease := lock(t, mutex(t, provider(t, nodes, nil), t.Name()))
	spy := newSpy(nodes[0].(*goredis.Scripter))
	opts := patient
	opts.MaxBusyWait = 50 * time.Millisecond
	other := mutex(t, provider(t, []core.Scripter{spy}, &opts), t.Name())
	result := make(chan error, 1)
	go func() {
		next, err := other.Lock(t.Context())
		if err == nil {
			err = next.Release(t.Context())
		}
		result <- err
	}()
	spy.await(t, "acquire", "answered", 0)
	makeReplica(t, s, f.servers[1], "")
	eventually(t, 20*time.Second, "an attempt has met the replica", func() bool {
		_, _, failed := spy.of("acquire")
		return failed > 0
	})
	select {
	case err := <-result:
		t.Fatalf("Lock ended: %v", err)
	default:
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := mutex(t, provider(t, nodes, nil), t.Name()).Lock(ctx)
	wantReply(t, "Lock by one who has had no answer yet", err, "READONLY")

	command(t, s, "REPLICAOF", "NO", "ONE")
	// With the replication the hold went.
	if err := <-result; err != nil {
		t.Errorf("Lock: %v", err)
	}
	_ = lease.Release(t.Context())
}
