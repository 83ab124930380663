package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
)

// BenchmarkRestartGuard reports the server's own time for taking a free mutex, with the
// restart guard and without: the least and the median of the batches, by INFO
// commandstats. The two take turns; the releases are not counted.
func BenchmarkRestartGuard(b *testing.B) {
	const batch = 500
	s := open(b, 1)
	ways := []struct {
		name    string
		guard   time.Duration
		mutexes []*redlock.Mutex
		usec    []float64 // for each call, by batch
	}{{name: "none"}, {name: "guard", guard: 7 * time.Second}}
	for i := range ways {
		w := &ways[i]
		// No extension comes in between.
		opts := &core.Options{Expiry: 7 * time.Second, MinValidity: 6 * time.Second, ExtensionCadence: 5 * time.Second, RestartGuard: w.guard}
		c, err := openRedlatch(goRedisNode, s.Addrs(1), nil, opts, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := c.Close(); err != nil {
				b.Error(err)
			}
		})
		for n := range batch {
			m := c.provider.Mutex(fmt.Sprint(w.name, n))
			w.mutexes = append(w.mutexes, m)
		}
		if err := old(b.Context(), w.mutexes[0]); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		for i := range ways {
			w := &ways[i]
			calls, usec := served(b, s)
			leases := make([]*core.Lease, batch)
			for n, m := range w.mutexes {
				var err error
				if leases[n], err = m.TryLock(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			moreCalls, moreUsec := served(b, s)
			for _, l := range leases {
				if err := l.Release(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			if moreCalls-calls == batch { // else a slow machine has let leases be extended
				w.usec = append(w.usec, float64(moreUsec-usec)/batch)
			}
		}
	}
	for _, w := range ways {
		if len(w.usec) == 0 {
			b.Fatalf("%s: no batch had its calls alone", w.name)
		}
		slices.Sort(w.usec)
		b.ReportMetric(w.usec[0], w.name+"-least-usec")
		b.ReportMetric(w.usec[len(w.usec)/2], w.name+"-median-usec")
	}
}

// old waits until the server has been up for longer than the guard.
func old(ctx context.Context, m *redlock.Mutex) error {
	for {
		l, err := m.TryLock(ctx)
		if err == nil {
			return l.Release(ctx)
		}
		if !strings.Contains(err.Error(), "GUARDED") {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// served is how many EVALSHA the server has served, and in how many microseconds of its
// own. No script can call it.
func served(tb testing.TB, s *Servers) (calls, usec int64) {
	tb.Helper()
	info, err := s.admins[0].Info(tb.Context(), "commandstats").Result()
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, ok := strings.Cut(info, "cmdstat_evalsha:")
	if ok {
		_, err = fmt.Sscanf(rest, "calls=%d,usec=%d", &calls, &usec)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return calls, usec
}
