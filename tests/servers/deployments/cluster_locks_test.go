package deployments_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// clusterClient returns a program whose one node is the cluster.
func clusterClient(t *testing.T, servers []*redistest.Server, opts *core.Options) *redlatch.Provider {
	t.Helper()
	c := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: redistest.Addrs(servers), DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { c.Close() })
	p, err := redlatch.New(clients.Patient(opts), goredis.New(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// tagged are names of every kind that the rule for hash tags tells apart.
var tagged = []string{
	"plain", "{tag}rest", "rest{tag}", "a{tag}b{other}", "{}a", "a}b", "a{b", "{a", "}", "{", "{}", "", "{{a}}", "a{}b{c}", "{a}{b}",
	"slash/and space", "nul\x00", "crlf\r\n", "\u65e5\u672c\u8a9e", "\xff\xfe",
}

func TestCluster(t *testing.T) {
	servers := clients.Cluster(t)
	redistest.NeedReal(t, servers)
	site := clients.At(redistest.Addrs(servers)...)
	slots := map[int]bool{}
	for _, prefix := range []string{"", "app:", "{app}:"} {
		a := clusterClient(t, servers, &core.Options{KeyPrefix: prefix})
		b := clusterClient(t, servers, &core.Options{KeyPrefix: prefix, MinBusyWait: clients.Hardly, MaxBusyWait: clients.Hardly})
		var wg sync.WaitGroup
		for _, name := range tagged {
			slots[int(keys.Slot(prefix+name))/5462] = true
			wg.Go(func() {
				if err := everything(t, site, a, b, prefix, name, time.Minute); err != nil {
					t.Errorf("prefix %q, name %q: %v", prefix, name, err)
				}
			})
		}
		wg.Wait()
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
	if len(slots) != 3 {
		t.Errorf("the names reached %d of 3 primaries", len(slots))
	}
	site.Clean(t, "")
}

// everything takes every lock of a name by a, lets b wait for it and, where b hardly
// polls, be woken. A mutex and a semaphore share the key, so they come one after the
// other. s are the same nodes for somebody who may look at all of them. What a node goes on
// to refuse is asked for until limit is over.
func everything(t *testing.T, s *clients.Site, a, b *redlatch.Provider, prefix, name string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for _, l := range []struct{ kind, queue string }{
		{"mutex", clients.Mutex}, {"writer, writer", clients.RW}, {"writer, reader", clients.RW},
		{"reader, writer", clients.RW}, {"semaphore", clients.Semaphore},
	} {
		kind := l.kind
		first, err1 := locker(a, kind, name, true)
		second, err2 := locker(b, kind, name, false)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		held, err := first.Lock(ctx)
		if err != nil {
			return fmt.Errorf("%s: Lock: %w", kind, err)
		}
		if _, err := second.TryLock(ctx); !errors.Is(err, core.ErrNotAcquired) {
			return fmt.Errorf("%s: TryLock beside it: %w", kind, err)
		}
		w := clients.Wait(t, core.Within(second, limit).Lock)
		// The release is to find a ticket and to call it: else not all that waiting needs is used.
		if err := standing(s.Line(t, l.queue, prefix+name), w); err != nil {
			return fmt.Errorf("%s: Lock beside it: %w", kind, err)
		}
		if err := held.Release(ctx); err != nil {
			return fmt.Errorf("%s: Release: %w", kind, err)
		}
		released := time.Now()
		lease, err := w.Result()
		if err != nil {
			return fmt.Errorf("%s: Lock after it: %w", kind, err)
		}
		// Far less than the next poll, where b hardly polls.
		if took := time.Since(released); took > 10*time.Second {
			return fmt.Errorf("%s: Lock after it took %v: it was not woken", kind, took)
		}
		if err := lease.Release(ctx); err != nil {
			return fmt.Errorf("%s: the second Release: %w", kind, err)
		}
	}
	sem, err := a.Semaphore(name, 3)
	if err != nil {
		return err
	}
	if n, err := sem.Available(ctx); err != nil || n != 3 {
		return fmt.Errorf("got %d available, %w, want 3", n, err)
	}
	return nil
}

// standing waits until somebody stands in line. It returns an error if w's call, which is
// to wait there, returns instead.
func standing(line func() int, w *clients.Pending) error {
	for line() == 0 {
		if w.Done() {
			_, err := w.Result()
			return fmt.Errorf("it does not wait: %w", err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

func locker(p *redlatch.Provider, kind, name string, first bool) (core.Locker, error) {
	switch kind {
	case "mutex":
		return p.Mutex(name), nil
	case "semaphore":
		s, err := p.Semaphore(name, 1)
		if err != nil {
			return nil, err
		}
		return s.Locker(), nil
	}
	rw := p.RWMutex(name)
	if first && kind == "reader, writer" || !first && kind == "writer, reader" {
		return rw.RLocker(), nil
	}
	return rw, nil
}

// spread returns a name for each primary of a cluster.
func spread(t *testing.T) (names []string) {
	t.Helper()
	seen := map[int]bool{}
	for i := 0; len(names) < 3; i++ {
		name := fmt.Sprintf("{%d}", i)
		if third := int(keys.Slot(name)) / 5462; !seen[third] {
			seen[third] = true
			names = append(names, name)
		}
	}
	return names
}

func TestClusterUnderContention(t *testing.T) {
	servers := clients.Cluster(t)
	redistest.NeedReal(t, servers)
	site := clients.At(redistest.Addrs(servers)...)
	const programs, rounds = 6, 8
	h := checker.NewHistory()
	type use struct {
		what string
		kind checker.Kind
		core.Locker
	}
	uses := func(p *redlatch.Provider, name string) []use {
		rw := p.RWMutex("rw:" + name)
		s, err := p.Semaphore("s:"+name, 2)
		if err != nil {
			t.Fatal(err)
		}
		return []use{{clients.Mutex, checker.Exclusive, p.Mutex("m:" + name)}, {clients.RW, checker.Exclusive, rw}, {clients.RW, checker.Shared, rw.RLocker()}, {clients.Semaphore, checker.Permit, s.Locker()}}
	}
	// take locks, and returns what releases.
	take := func(u use, who string) (release func()) {
		r := checker.Request{Name: u.what + u.Name(), Client: who, Kind: u.kind}
		if u.kind == checker.Permit {
			r.Limit = 2
		}
		a := h.Ask(r)
		lease, err := u.Lock(t.Context())
		if err != nil {
			a.GaveUp()
			t.Error(err)
			return func() {}
		}
		a.Granted(lease)
		return func() {
			a.Released()
			clients.Release(t, lease)
		}
	}

	// One program has all of them until the others stand in line.
	var releases []func()
	names := spread(t)
	holder := clusterClient(t, servers, nil)
	for _, name := range names {
		for _, u := range uses(holder, name) {
			if u.kind != checker.Shared {
				releases = append(releases, take(u, "first"))
			}
			if u.kind == checker.Permit {
				releases = append(releases, take(u, "first"))
			}
		}
	}
	var wg sync.WaitGroup
	for i := range programs {
		p := clusterClient(t, servers, clients.Slow())
		for _, name := range names {
			for _, u := range uses(p, name) {
				wg.Go(func() {
					for range rounds {
						release := take(u, fmt.Sprint(i))
						time.Sleep(time.Millisecond) // the work, longer than a hand-over: two holders would meet
						release()
					}
				})
			}
		}
	}
	t.Cleanup(wg.Wait) // where the test ends before, with its context
	for _, name := range names {
		site.Queued(t, clients.Mutex, "m:"+name, programs)
		site.Queued(t, clients.RW, "rw:"+name, programs)
		site.Queued(t, clients.Semaphore, "s:"+name, programs)
	}
	for _, release := range releases {
		release()
	}
	wg.Wait()
	// A call that is lost costs a poll.
	if err := h.Check(&checker.Rules{MaxIdle: 5 * time.Second}); err != nil {
		t.Error(err)
	}
}

// LockAll takes locks on every primary.
func TestClusterLockAll(t *testing.T) {
	servers := clients.Cluster(t)
	redistest.NeedReal(t, servers)
	site := clients.At(redistest.Addrs(servers)...)
	names := spread(t)
	connect := func() *redlatch.Provider { return clusterClient(t, servers, clients.Slow()) }
	clients.OppositeOrders(t, site, connect, []clients.Part{{Kind: clients.Mutex, Name: names[0]}, {Kind: clients.RW, Name: names[1]}, {Kind: clients.Semaphore, Name: names[2]}})
	site.Clean(t, "")
}
