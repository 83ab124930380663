package rwsem_test

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
	"github.com/redlatch/redlatch/internal/integration/rwsem/clients"
	"github.com/redlatch/redlatch/internal/keys"
)

// clusterClient returns a program whose one node is the cluster.
func clusterClient(t *testing.T, servers []*redistest.Server, opts *core.Options) *redlatch.Provider {
	t.Helper()
	c := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: redistest.Addrs(servers), DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { c.Close() })
	p, err := redlatch.New([]core.Scripter{goredis.New(c)}, clients.Patient(opts))
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
		b := clusterClient(t, servers, &core.Options{KeyPrefix: prefix, MinBusyWait: hardly, MaxBusyWait: hardly})
		var wg sync.WaitGroup
		for _, name := range tagged {
			slots[int(keys.Slot(prefix+name))/5462] = true
			wg.Go(func() {
				if err := everything(t, site, a, b, prefix, name); err != nil {
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
// other. s are the same nodes for somebody who may look at all of them.
func everything(t *testing.T, s *clients.Site, a, b *redlatch.Provider, prefix, name string) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
		w := clients.Wait(t, second.Lock)
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
		return p.Mutex(name)
	case "semaphore":
		s, err := p.Semaphore(name, 1)
		if err != nil {
			return nil, err
		}
		return s.Locker(), nil
	}
	rw, err := p.RWMutex(name)
	if err != nil {
		return nil, err
	}
	if first && kind == "reader, writer" || !first && kind == "writer, reader" {
		return rw.RLocker(), nil
	}
	return rw, nil
}

func TestClusterUnderContention(t *testing.T) {
	servers := clients.Cluster(t)
	redistest.NeedReal(t, servers)
	h := checker.NewHistory()
	var wg sync.WaitGroup
	for i := range 6 {
		p := clusterClient(t, servers, slow())
		for _, name := range []string{"a", "b", "{t}c"} {
			m, err := p.Mutex(name)
			rw, err2 := p.RWMutex(name)
			s, err3 := p.Semaphore(name+"s", 2)
			if err := errors.Join(err, err2, err3); err != nil {
				t.Fatal(err)
			}
			for _, l := range []struct {
				what string
				kind checker.Kind
				core.Locker
			}{
				{"mutex:", checker.Exclusive, m}, {"rw:", checker.Exclusive, rw}, {"rw:", checker.Shared, rw.RLocker()},
				{"semaphore:", checker.Permit, s.Locker()},
			} {
				wg.Go(func() {
					for range 8 {
						r := checker.Request{Name: l.what + name, Client: fmt.Sprint(i), Kind: l.kind}
						if l.kind == checker.Permit {
							r.Limit = 2
						}
						a := h.Ask(r)
						lease, err := l.Lock(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						a.Granted(lease)
						a.Released()
						clients.Release(t, lease)
					}
				})
			}
		}
	}
	wg.Wait()
	// A call that is lost costs a poll.
	if err := h.Check(&checker.Rules{MaxIdle: 5 * time.Second}); err != nil {
		t.Error(err)
	}
}
