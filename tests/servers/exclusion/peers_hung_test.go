package exclusion_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
)

// 3: one of three nodes hangs: each operation takes the client's read timeout, and the
// extension fails although the majority is healthy.
func TestPeer03HungNode(t *testing.T) {
	t.Parallel()
	f := start(t, 3, nil)
	redistest.NeedReal(t, f.servers) // a paused miniredis does not hang, it takes no connections
	redistest.NeedFaults(t, f.servers)
	for hung := range 3 {
		t.Run(fmt.Sprintf("node %d", hung), func(t *testing.T) {
			redistest.Do(t, f.servers[hung].Pause)
			defer redistest.Do(t, f.servers[hung].Resume)
			hangs(t, f.servers[hung].Addr())

			// Of the client; the window is as long. Once a silent lead, or a proof, is waited for
			// four times as long as the first answers took, which is seconds where a machine has
			// much to do, and half of the window at most.
			const readTimeout, limit = 40 * time.Second, 25 * time.Second
			var nodes []core.Scripter
			for _, addr := range redistest.Addrs(f.servers) {
				c := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: readTimeout})
				t.Cleanup(func() { _ = c.Close() })
				nodes = append(nodes, goredis.New(c))
			}
			opts := &core.Options{Expiry: readTimeout * 3 / 2, MinValidity: readTimeout / 2, ExtensionCadence: 200 * time.Millisecond}
			p, err := redlatch.New(opts, nodes...)
			if err != nil {
				t.Fatal(err)
			}
			l := mutex(t, p, t.Name())
			for range 3 {
				began := time.Now()
				lease := lock(t, l)
				locked := time.Now()
				until := lease.ValidUntil()
				eventually(t, readTimeout/2, "the lease is extended", func() bool { return moved(lease, until) })
				extended := time.Now()
				release(t, lease)
				if a, b := locked.Sub(began), time.Since(extended); a > limit || b > limit {
					t.Errorf("Lock took %v, Release %v, with a node that hangs for the read timeout, %v", a, b, readTimeout)
				}
			}
		})
	}
}

// hangs fails the test unless the server takes connections and does not answer.
func hangs(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes and %v from a server that is to hang", n, err)
	}
}

// 4: a free lock is not acquired over a slow link, because of a fixed timeout.
func TestPeer04SlowLink(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		f := start(t, nodes, nil)
		for _, d := range []time.Duration{30 * time.Millisecond, 200 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d nodes, %v", nodes, d), func(t *testing.T) {
				t.Parallel()
				ps, addrs := f.proxies(t)
				for _, p := range ps {
					p.Delay(d)
				}
				l := mutex(t, f.at(t, addrs, &core.Options{}), t.Name()) // the defaults
				for locked, tries := 0, 1; locked < 2; tries++ {
					began := time.Now()
					lease, err := l.TryLock(t.Context())
					took := time.Since(began)
					switch {
					case err == nil:
						locked++
						release(t, lease)
					case took < 2*time.Second || tries == 6:
						t.Fatalf("TryLock of a free lock, after %v: %v", took, err)
					default:
						// The first attempt needs half of the window of 3 s; here the machine had the rest.
						t.Logf("once more, after %v: %v", took, err)
					}
					if took < d {
						t.Errorf("took %v over a link with a round trip of %v", took, d)
					}
					// The last node's undo has a round trip of its own to go.
					f.absent(t, t.Name(), soon)
				}
			})
		}
	}
}

// 7: a round of extension that meets connection errors is taken for a loss.
func TestPeer07OneBadRound(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			f := start(t, nodes, nil)
			ps, addrs := f.proxies(t)
			opts := &core.Options{Expiry: 10 * time.Second, MinValidity: 3 * time.Second, ExtensionCadence: 200 * time.Millisecond}
			// Else the client asks again and again by itself, and no call fails for long.
			once := redis.Options{MaxRetries: -1, DialerRetries: 1}
			spies, scripters := watched(t, dial(addrs, once, false))
			lease := lock(t, mutex(t, provider(t, scripters, opts), t.Name()))
			failed := make([]int, nodes)
			for i, s := range spies {
				_, _, failed[i] = s.of("extend")
			}
			for _, p := range ps {
				p.Refuse()
				p.Cut()
			}
			for i, s := range spies {
				s.await(t, "extend", "failed", failed[i])
			}
			if lease.Context().Err() != nil {
				t.Fatalf("the lease ended with most of its expiry left: %v", context.Cause(lease.Context()))
			}
			until := lease.ValidUntil()
			for _, p := range ps {
				p.Accept()
			}
			eventually(t, opts.Expiry, "the lease is extended again", func() bool { return moved(lease, until) })
			release(t, lease)
			f.absent(t, t.Name(), soon)
		})
	}
}

// 25: a release waits for an extension under way, up to the client's timeout.
func TestPeer25ReleaseDuringExtension(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			f := start(t, nodes, nil)
			spies, scripters := f.spies(t)
			opts := &core.Options{Expiry: 20 * time.Second, MinValidity: 10 * time.Second, ExtensionCadence: 100 * time.Millisecond}
			p := provider(t, scripters, opts)
			lease := lock(t, mutex(t, p, t.Name()))
			asked := make([]int, nodes)
			for i, s := range spies {
				asked[i], _, _ = s.of("extend")
				defer s.hold("extend")()
			}
			for i, s := range spies {
				s.await(t, "extend", "asked", asked[i])
			}
			began := time.Now()
			release(t, lease)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("Release took %v beside extensions that hang", took)
			}
			f.absent(t, t.Name(), soon)
		})
	}
}

// 25: the nodes are released one after another.
func TestPeer25ReleaseInParallel(t *testing.T) {
	t.Parallel()
	const d, nodes = 2 * time.Second, 5
	f := start(t, nodes, nil)
	ps, addrs := f.proxies(t)
	l := mutex(t, f.at(t, addrs, &core.Options{MinValidity: 15 * time.Second}), t.Name())
	release(t, lock(t, l)) // the scripts are cached now
	f.absent(t, t.Name(), soon)
	lease := lock(t, l)
	for _, p := range ps {
		p.Delay(d)
	}
	began := time.Now()
	release(t, lease)
	if took := time.Since(began); took < d || took > 3*d { // a majority, one after another
		t.Errorf("Release took %v on %d nodes with a round trip of %v", took, nodes, d)
	}
}
