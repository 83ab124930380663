package virtual_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// granted starts a call of lock and returns a channel that tells when it held.
func (w *world) granted(lock taking) <-chan time.Time {
	ch := make(chan time.Time, 1)
	go func() {
		l, err := lock(w.Context())
		if err != nil {
			w.Error(err)
			close(ch)
			return
		}
		ch <- time.Now()
		_ = l.Release(w.Context())
	}()
	return ch
}

func TestCrashedReaderDelaysByItsOwnLease(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		opts := core.Options{Expiry: 10 * time.Second}
		in(t, nodes, func(w *world) {
			crashed := w.client(opts)
			dead, b, c := w.take(crashed.rw().RLock), w.take(w.client(opts).rw().RLock), w.take(w.client(opts).rw().RLock)
			time.Sleep(25 * time.Second) // extended seven times, the last after 23.3 s
			crashed.Kill()
			killed := time.Now()
			writer := w.granted(w.client(opts).rw().Lock)
			time.Sleep(6 * time.Second)
			// The others go on to renew, and go: the writer waits for the dead one alone.
			w.free(b, c)
			got := (<-writer).Sub(killed)
			if got > opts.Expiry+50*time.Millisecond {
				w.Errorf("%d nodes: the writer held %v after the reader's crash, want %v at most", nodes, got, opts.Expiry)
			}
			if got < 6*time.Second {
				w.Errorf("%d nodes: the writer held %v after the crash, beside a reader's lease", nodes, got)
			}
			if dead.Context().Err() == nil {
				w.Errorf("%d nodes: the dead reader's lease has not ended", nodes)
			}
			w.Logf("%d nodes: the writer held %v after the crash of a reader with a lease of %v", nodes, got, opts.Expiry)
		})
	}
}

// A dead reader's entry goes although the others' renewals keep the set alive.
func TestPeer11DeadReaderGoesWhileOthersRenew(t *testing.T) {
	opts := core.Options{Expiry: 10 * time.Second}
	in(t, 3, func(w *world) {
		crashed := w.client(opts)
		w.take(crashed.rw().RLock)
		keeps := w.take(w.client(opts).rw().RLock)
		crashed.Kill()
		time.Sleep(time.Minute) // six leases
		held := w.granted(w.client(opts).rw().Lock)
		time.Sleep(time.Second)
		released := time.Now()
		w.free(keeps)
		if got := (<-held).Sub(released); got > 20*time.Millisecond {
			w.Errorf("the writer held %v after the only live reader's release, want it at once", got)
		}
	})
}

// Two readers' leases have nothing to do with each other.
func TestPeer11ReadersDoNotShortenEachOther(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		long, short := core.Options{Expiry: time.Minute}, core.Options{Expiry: time.Second}
		in(t, nodes, func(w *world) {
			crashed, writer := w.client(long), w.client(long)
			taken := time.Now()
			w.take(crashed.rw().RLock)
			other := w.take(w.client(short).rw().RLock)
			crashed.Kill()
			time.Sleep(10 * time.Second) // the short one is extended thirty times
			w.free(other)
			got := (<-w.granted(writer.rw().Lock)).Sub(taken)
			if got < long.Expiry-10*time.Millisecond || got > long.Expiry+50*time.Millisecond {
				w.Errorf("%d nodes: the writer held %v after the long reader, want %v: its own lease", nodes, got, long.Expiry)
			}
		})
		// The other way round: the long lease does not keep the short one.
		in(t, nodes, func(w *world) {
			crashed, writer := w.client(short), w.client(long)
			keeps := w.take(w.client(long).rw().RLock)
			w.take(crashed.rw().RLock)
			crashed.Kill()
			time.Sleep(2 * time.Second)
			released := time.Now()
			w.free(keeps)
			if got := (<-w.granted(writer.rw().Lock)).Sub(released); got > 20*time.Millisecond {
				w.Errorf("%d nodes: the writer held %v after the release, want it at once", nodes, got)
			}
		})
	}
}

func TestCrashedPermit(t *testing.T) {
	opts := core.Options{Expiry: 10 * time.Second}
	in(t, 1, func(w *world) {
		crashed, watcher := w.client(opts), w.client(opts)
		w.take(crashed.semaphore(2).Acquire)
		taken := time.Now() // within near of the grant
		keeps := w.take(w.client(opts).semaphore(2).Acquire)
		crashed.Kill()
		w.available(watcher, 2, 0, "its lease has not ended")
		time.Sleep(time.Until(taken.Add(opts.Expiry - 20*time.Millisecond)))
		w.available(watcher, 2, 0, "its lease has not ended")
		time.Sleep(30 * time.Millisecond)
		w.available(watcher, 2, 1, "its lease has ended")
		time.Sleep(5 * opts.Expiry)
		w.available(watcher, 2, 1, "the other's goes on")
		w.free(keeps)
		w.available(watcher, 2, 2, "both are over")
	})
}

// 13: a semaphore's permits end by the clients' clocks. Only the server's counts: a client
// whose own is off neither takes what is held nor holds less.
func TestPeer13ClientAheadTakesNoHeldPermit(t *testing.T) {
	in(t, 1, func(w *world) {
		var cs []*client
		offsets := []time.Duration{0, 31 * time.Second, time.Hour, -time.Hour}
		for _, off := range offsets {
			now := func() time.Time { return time.Now().Add(off) }
			cs = append(cs, w.client(core.Options{Now: now}))
		}
		for i, holder := range cs {
			for j, other := range cs {
				l := w.take(holder.semaphore(1).Acquire)
				for range 6 { // two leases
					time.Sleep(expiry / 3)
					w.refused(other.semaphore(1).TryAcquire, "a held permit")
				}
				w.held(l, fmt.Sprintf("the clock is off by %v", offsets[i]))
				w.available(other, 1, 0, fmt.Sprintf("the clock is off by %v", offsets[j]))
				token := l.Token()
				w.free(l)
				next := w.take(other.semaphore(1).TryAcquire)
				if next.Token() <= token {
					w.Errorf("got token %d after %d, want a higher one", next.Token(), token)
				}
				w.free(next)
			}
		}
	})
}
