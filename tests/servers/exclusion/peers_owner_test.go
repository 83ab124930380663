package exclusion_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// take deletes the hold everywhere and lets another process lock and release.
func (f *fleet) take(t *testing.T, name string) {
	t.Helper()
	for i, c := range f.raw {
		if n, err := c.Del(t.Context(), name).Result(); n != 1 || err != nil {
			t.Fatalf("DEL on node %d: %d, %v", i, n, err)
		}
	}
	other := lock(t, f.mutex(t, name, nil))
	eventually(t, soon, "the other one holds on every node", func() bool { return f.holding(t, name) == len(f.raw) })
	release(t, other)
	f.absent(t, name, soon)
}

// 8: "extended", although the lock had expired and another holder had come and gone.
func TestPeer08CameAndWent(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		f := start(t, nodes, nil)
		t.Run(fmt.Sprintf("%d nodes, the next extension", nodes), func(t *testing.T) {
			spies, scripters := f.spies(t)
			opts := &core.Options{Expiry: 40 * time.Second, MinValidity: 10 * time.Second, ExtensionCadence: 100 * time.Millisecond}
			lease := lock(t, mutex(t, provider(t, scripters, opts), t.Name()))
			eventually(t, soon, "every node has the hold", func() bool { return f.holding(t, t.Name()) == nodes })
			var lets []func()
			asked := make([]int, nodes)
			for i, s := range spies {
				asked[i], _, _ = s.of("extend")
				lets = append(lets, s.hold("extend"))
				defer lets[i]()
			}
			for i, s := range spies {
				s.await(t, "extend", "asked", asked[i])
			}
			f.take(t, t.Name())
			for _, let := range lets {
				let()
			}
			select {
			case <-lease.Lost():
			case <-time.After(opts.Expiry / 2):
				t.Fatal("the lease lives, although another holder had come and gone")
			}
			is(t, "Release", lease.Release(t.Context()), errs{core.ErrLost}, nil)
			f.absent(t, t.Name(), soon)
		})
		t.Run(fmt.Sprintf("%d nodes, an extension on its way", nodes), func(t *testing.T) {
			ps, addrs := f.proxies(t)
			lease := lock(t, mutex(t, f.at(t, addrs, &brief), t.Name()))
			sent, replies := make([]int, nodes), make([]int, nodes)
			for i, p := range ps {
				p.Stall(proxy.Requests)
				sent[i] = p.Stats().Requests
			}
			for i, p := range ps {
				seen(t, p, "an extension", func(st proxy.Stats) bool { return st.Requests > sent[i] })
			}
			<-lease.Lost()
			release(t, lock(t, f.mutex(t, t.Name(), nil))) // when the keys have expired
			f.absent(t, t.Name(), soon)
			for i, p := range ps {
				replies[i] = p.Stats().Replies
				p.Resume()
			}
			for i, p := range ps {
				seen(t, p, "its answer", func(st proxy.Stats) bool { return st.Replies > replies[i] })
			}
			f.absent(t, t.Name(), soon)
			if cause := context.Cause(lease.Context()); !errors.Is(cause, core.ErrLost) {
				t.Errorf("got the cause %v, want ErrLost", cause)
			}
		})
	}
}

// 9: a late release by an earlier holder frees the next holder's lock.
func TestPeer09LateRelease(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			f := start(t, nodes, nil)
			ps, addrs := f.proxies(t)
			l := mutex(t, f.at(t, addrs, &brief), t.Name()) // one lock object for both holders
			first := lock(t, l)
			for _, p := range ps {
				p.Stall(proxy.Both)
			}
			<-first.Lost()
			for _, p := range ps {
				p.Resume()
			}
			second := lock(t, l)
			eventually(t, soon, "every node has the next hold", func() bool { return f.holding(t, t.Name()) == nodes })
			values := f.values(t, t.Name())
			is(t, "the late release", first.Release(t.Context()), errs{core.ErrLost}, nil)
			is(t, "once more", first.Release(t.Context()), errs{core.ErrLost}, nil)
			if got := f.values(t, t.Name()); fmt.Sprint(got) != fmt.Sprint(values) || second.Context().Err() != nil {
				t.Errorf("got the holds %v, want %v", got, values)
			}
			release(t, second)
			f.absent(t, t.Name(), soon)
		})
	}
}

// values returns the key's value on each live node.
func (f *fleet) values(t *testing.T, key string) (vs []string) {
	t.Helper()
	for _, c := range f.raw {
		v, err := c.Get(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, v)
	}
	return vs
}

// 10: a restarted node is never joined again; the second restart loses the lock.
func TestPeer10Restarts(t *testing.T) {
	t.Parallel()
	f := start(t, 3, nil)
	redistest.NeedFaults(t, f.servers)
	opts := &core.Options{Expiry: 15 * time.Second, MinValidity: 3 * time.Second, ExtensionCadence: 200 * time.Millisecond}
	spies, scripters := f.spies(t)
	lease := lock(t, mutex(t, provider(t, scripters, opts), t.Name()))
	other := f.mutex(t, t.Name(), opts)
	eventually(t, soon, "every node has the hold", func() bool { return f.holding(t, t.Name()) == 3 })
	for _, i := range []int{0, 1, 2, 0} {
		redistest.Do(t, f.servers[i].RestartEmpty)
		eventually(t, opts.Expiry, "the node has the hold again", func() bool {
			n, err := f.raw[i].Exists(t.Context(), t.Name()).Result()
			return err == nil && n == 1
		})
		// It counts again when the others have extended without it, and then it has.
		_, answered, _ := spies[i].of("extend")
		spies[i].await(t, "extend", "answered", answered+3)
		if _, err := other.TryLock(t.Context()); !errors.Is(err, core.ErrNotAcquired) {
			t.Errorf("got %v for another process, want ErrNotAcquired", err)
		}
	}
	if lease.Context().Err() != nil {
		t.Errorf("the lease ended: %v", context.Cause(lease.Context()))
	}
	release(t, lease)
	f.absent(t, t.Name(), soon)
}

// 16: owners are compared by a prefix: "worker-1" takes over from "worker-12".
func TestPeer16SimilarOwners(t *testing.T) {
	t.Parallel()
	f := start(t, 1, nil)
	opts := &core.Options{Expiry: 10 * time.Second, MinValidity: 3 * time.Second, ExtensionCadence: 100 * time.Millisecond}
	for name, similar := range map[string]func(owner string) string{
		"longer":  func(o string) string { return o + "2" },
		"shorter": func(o string) string { return o[:len(o)-1] },
		"before":  func(o string) string { return "2" + o },
		"empty":   func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			lease := lock(t, f.mutex(t, t.Name(), opts))
			theirs := similar(f.values(t, t.Name())[0])
			if err := f.raw[0].Set(t.Context(), t.Name(), theirs, time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-lease.Lost():
			case <-time.After(opts.Expiry / 2):
				t.Error("the lease lives, although another one has the lock")
			}
			is(t, "Release", lease.Release(t.Context()), errs{core.ErrLost}, nil)
			if _, err := f.mutex(t, t.Name(), opts).TryLock(t.Context()); !errors.Is(err, core.ErrNotAcquired) {
				t.Errorf("TryLock: got %v, want ErrNotAcquired", err)
			}
			if got := f.values(t, t.Name())[0]; got != theirs {
				t.Errorf("got %q at the key, want the other's %q", got, theirs)
			}
			ttl, err := f.raw[0].PTTL(t.Context(), t.Name()).Result()
			if err != nil || ttl < 30*time.Second || ttl > time.Minute {
				t.Errorf("got the TTL %v, %v of the other's hold, want what the other set", ttl, err)
			}
		})
	}
}

// 27: a renewal that outlives the release brings the lock back.
func TestPeer27LateRenewal(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes, extension", nodes), func(t *testing.T) {
			t.Parallel()
			f := start(t, nodes, nil)
			spies, scripters := f.spies(t)
			opts := &core.Options{Expiry: 20 * time.Second, MinValidity: 10 * time.Second, ExtensionCadence: 100 * time.Millisecond}
			lease := lock(t, mutex(t, provider(t, scripters, opts), t.Name()))
			var lets []func()
			asked := make([]int, nodes)
			for i, s := range spies {
				asked[i], _, _ = s.of("extend")
				lets = append(lets, s.hold("extend"))
			}
			for i, s := range spies {
				s.await(t, "extend", "asked", asked[i])
			}
			release(t, lease)
			f.absent(t, t.Name(), soon)
			for i, s := range spies {
				_, answered, _ := s.of("extend")
				lets[i]()
				s.await(t, "extend", "answered", answered)
			}
			f.absent(t, t.Name(), time.Millisecond)
		})
	}
	t.Run("repair", func(t *testing.T) {
		t.Parallel()
		f := start(t, 3, nil)
		spies, scripters := f.spies(t)
		opts := &core.Options{Expiry: 20 * time.Second, MinValidity: 10 * time.Second, ExtensionCadence: 100 * time.Millisecond}
		lease := lock(t, mutex(t, provider(t, scripters, opts), t.Name()))
		eventually(t, soon, "every node has the hold", func() bool { return f.holding(t, t.Name()) == 3 })
		let := spies[2].hold("repair")
		defer let()
		if err := f.raw[2].Del(t.Context(), t.Name()).Err(); err != nil {
			t.Fatal(err)
		}
		spies[2].await(t, "repair", "asked", 0)
		release(t, lease)
		let()
		spies[2].await(t, "repair", "answered", 0) // the hold is back ...
		f.absent(t, t.Name(), soon)                // ... and is removed
		other, err := f.mutex(t, t.Name(), nil).TryLock(t.Context())
		if err != nil {
			t.Fatalf("TryLock: %v", err)
		}
		release(t, other)
	})
}
