package rwsem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/sim"
	"github.com/redlatch/redlatch/redlock"
	"github.com/redlatch/redlatch/semaphore"
)

// world is a simulated cluster with a provider for each client.
type world struct {
	*sim.Cluster
	t         *testing.T
	providers []*redlatch.Provider
}

// within runs body in virtual time. opts gives the options of the i-th client.
func within(t *testing.T, config sim.Config, opts func(i int) core.Options, body func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := sim.New(config, &sim.Stats{})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{Cluster: c, t: t}
		for i, client := range c.Clients {
			o := opts(i)
			if o.Now == nil {
				o.Now = client.Wall.Now
			}
			p, err := redlatch.New(client.Nodes(), &o)
			if err != nil {
				t.Fatal(err)
			}
			w.providers = append(w.providers, p)
		}
		body(t, w)
		for _, p := range w.providers {
			_ = p.Close() // killed clients cannot
		}
		time.Sleep(time.Minute) // calls of killed clients end by their read timeout
		c.Close()
	})
}

func (w *world) rw(i int, name string) *redlock.RWMutex {
	m, err := w.providers[i].RWMutex(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) semaphore(i int, name string, limit int) *semaphore.Semaphore {
	s, err := w.providers[i].Semaphore(name, limit)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) take(lock func(context.Context) (*core.Lease, error)) *core.Lease {
	w.t.Helper()
	l, err := lock(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func same(o core.Options) func(int) core.Options { return func(int) core.Options { return o } }

// granted starts a call of lock and returns a channel that tells when it held.
func granted(t *testing.T, lock func(context.Context) (*core.Lease, error)) <-chan time.Time {
	ch := make(chan time.Time, 1)
	ctx := t.Context()
	go func() {
		l, err := lock(ctx)
		if err != nil {
			t.Error(err)
			close(ch)
			return
		}
		ch <- time.Now()
		_ = l.Release(ctx)
	}()
	return ch
}

func TestCrashedReaderDelaysByItsOwnLease(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		opts := core.Options{Expiry: 10 * time.Second}
		within(t, sim.Config{Seed: 7, Nodes: nodes, Clients: 4}, same(opts), func(t *testing.T, w *world) {
			dead, b, c := w.take(w.rw(0, "l").RLock), w.take(w.rw(1, "l").RLock), w.take(w.rw(2, "l").RLock)
			time.Sleep(25 * time.Second) // extended seven times, the last after 23.3 s
			w.Clients[0].Kill()
			killed := time.Now()
			w2 := granted(t, w.rw(3, "l").Lock)
			time.Sleep(6 * time.Second)
			// The others go on to renew, and go: the writer waits for the dead one alone.
			_, _ = b.Release(t.Context()), c.Release(t.Context())
			got := (<-w2).Sub(killed)
			if got > opts.Expiry+50*time.Millisecond {
				t.Errorf("%d nodes: the writer held %v after the reader's crash, want %v at most", nodes, got, opts.Expiry)
			}
			if got < 6*time.Second {
				t.Errorf("%d nodes: the writer held %v after the crash, beside a reader's lease", nodes, got)
			}
			if dead.Context().Err() == nil {
				t.Errorf("%d nodes: the dead reader's lease has not ended", nodes)
			}
			t.Logf("%d nodes: the writer held %v after the crash of a reader with a lease of %v", nodes, got, opts.Expiry)
		})
	}
}

// A dead reader's entry goes although the others' renewals keep the set alive.
func TestPeer11DeadReaderGoesWhileOthersRenew(t *testing.T) {
	opts := core.Options{Expiry: 10 * time.Second}
	within(t, sim.Config{Seed: 8, Nodes: 3, Clients: 3}, same(opts), func(t *testing.T, w *world) {
		w.take(w.rw(0, "l").RLock)
		keeps := w.take(w.rw(1, "l").RLock)
		w.Clients[0].Kill()
		time.Sleep(time.Minute) // six leases
		held := granted(t, w.rw(2, "l").Lock)
		time.Sleep(time.Second)
		released := time.Now()
		if err := keeps.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if got := (<-held).Sub(released); got > 20*time.Millisecond {
			t.Errorf("the writer held %v after the only live reader's release, want it at once", got)
		}
	})
}

// Two readers' leases have nothing to do with each other.
func TestPeer11ReadersDoNotShortenEachOther(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		long, short := 60*time.Second, time.Second
		opts := func(i int) core.Options {
			return core.Options{Expiry: []time.Duration{long, short, long}[i]}
		}
		within(t, sim.Config{Seed: 9, Nodes: nodes, Clients: 3}, opts, func(t *testing.T, w *world) {
			w.take(w.rw(0, "l").RLock)
			taken := time.Now()
			other := w.take(w.rw(1, "l").RLock)
			w.Clients[0].Kill()
			time.Sleep(10 * time.Second) // the short one is extended thirty times
			if err := other.Release(t.Context()); err != nil {
				t.Error(err)
			}
			got := (<-granted(t, w.rw(2, "l").Lock)).Sub(taken)
			if got < long-10*time.Millisecond || got > long+50*time.Millisecond {
				t.Errorf("%d nodes: the writer held %v after the long reader, want %v: its own lease", nodes, got, long)
			}
		})
		// The other way round: the long lease does not keep the short one.
		within(t, sim.Config{Seed: 10, Nodes: nodes, Clients: 3}, opts, func(t *testing.T, w *world) {
			keeps := w.take(w.rw(0, "l").RLock)
			w.take(w.rw(1, "l").RLock)
			w.Clients[1].Kill()
			time.Sleep(2 * time.Second)
			released := time.Now()
			if err := keeps.Release(t.Context()); err != nil {
				t.Error(err)
			}
			if got := (<-granted(t, w.rw(2, "l").Lock)).Sub(released); got > 20*time.Millisecond {
				t.Errorf("%d nodes: the writer held %v after the release, want it at once", nodes, got)
			}
		})
	}
}

func TestCrashedPermitInVirtualTime(t *testing.T) {
	opts := core.Options{Expiry: 10 * time.Second}
	within(t, sim.Config{Seed: 11, Nodes: 1, Clients: 3}, same(opts), func(t *testing.T, w *world) {
		w.take(w.semaphore(0, "s", 2).Acquire)
		keeps := w.take(w.semaphore(1, "s", 2).Acquire)
		w.Clients[0].Kill()
		watcher := w.semaphore(2, "s", 2)
		available := func(want int) {
			t.Helper()
			if got, err := watcher.Available(t.Context()); err != nil || got != want {
				t.Errorf("got %d available, %v, want %d", got, err, want)
			}
		}
		time.Sleep(opts.Expiry - 20*time.Millisecond)
		available(0)
		time.Sleep(30 * time.Millisecond)
		available(1)
		time.Sleep(5 * opts.Expiry)
		available(1)
		if err := keeps.Release(t.Context()); err != nil {
			t.Error(err)
		}
		available(2)
	})
}

// Only the server's clock counts: a client whose own is hours off neither takes what is
// held nor holds less.
func TestClientClockHoursOff(t *testing.T) {
	offsets := []time.Duration{0, time.Hour, -time.Hour}
	now := func(i int) func() time.Time {
		return func() time.Time { return time.Now().Add(offsets[i]) }
	}
	opts := func(i int) core.Options { return core.Options{Expiry: 10 * time.Second, Now: now(i)} }
	within(t, sim.Config{Seed: 12, Nodes: 1, Clients: 3}, opts, func(t *testing.T, w *world) {
		for holder := range offsets {
			for other := range offsets {
				l := w.take(w.semaphore(holder, "s", 1).Acquire)
				time.Sleep(33 * time.Second)
				if l.Context().Err() != nil {
					t.Errorf("clock off by %v: the permit ended: %v", offsets[holder], context.Cause(l.Context()))
				}
				_, err := w.semaphore(other, "s", 1).TryAcquire(t.Context())
				refused(t, "a held permit", err)
				if got, err := w.semaphore(other, "s", 1).Available(t.Context()); err != nil || got != 0 {
					t.Errorf("clock off by %v: got %d available, %v, want 0", offsets[other], got, err)
				}
				token := l.Token()
				if err := l.Release(t.Context()); err != nil {
					t.Error(err)
				}
				next := w.take(w.semaphore(other, "s", 1).TryAcquire)
				if next.Token() <= token {
					t.Errorf("got token %d after %d, want a higher one", next.Token(), token)
				}
				if err := next.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// LockAll's locks share the time of its context: what one has been waited for is no
// longer there for the next.
func TestLockAllSharesTheTime(t *testing.T) {
	const wait, firstFree = 300 * time.Millisecond, 200 * time.Millisecond
	within(t, sim.Config{Seed: 3, Nodes: 3, Clients: 2}, same(core.Options{}), func(t *testing.T, w *world) {
		a, c := w.take(w.rw(0, "a").Lock), w.take(w.rw(0, "c").Lock)
		began := time.Now()
		time.AfterFunc(firstFree, func() { _ = a.Release(t.Context()) })
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		b := &taken{Locker: w.rw(1, "b")}
		_, err := core.LockAll(ctx, w.rw(1, "c"), b, w.rw(1, "a"))
		refused(t, "LockAll", err)
		// What was had is given back before it returns, which takes a round trip.
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took < wait || took > wait+5*time.Millisecond {
			t.Errorf("got %v after %v, want %v after %v", err, took, context.DeadlineExceeded, wait)
		}
		if b.lease == nil {
			t.Error("the first lock was not had: nothing was waited for twice")
		}
		_ = c.Release(t.Context())
		for _, name := range []string{"a", "b", "c"} { // all is given back
			_ = w.take(w.rw(0, name).Lock).Release(t.Context())
		}
	})
}
