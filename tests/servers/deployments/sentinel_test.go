package deployments_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/options"
	"github.com/redlatch/redlatch/redlock"
)

// longLease outlasts any failover that Await waits for.
var longLease = &core.Options{Expiry: 2 * time.Minute, ExtensionCadence: time.Second}

func mutex(t *testing.T, s core.Scripter, name string, opts *core.Options) *redlock.Mutex {
	t.Helper()
	m, err := redlock.NewMutex([]core.Scripter{s}, name, opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func lock(t *testing.T, m *redlock.Mutex) *core.Lease {
	t.Helper()
	lease, err := m.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lease.Release(context.Background()) })
	return lease
}

// brief returns a lease that ends before a failover does. A node has 650 ms to answer: where
// the machine has taken as long itself, the lock is taken anew.
func brief(t *testing.T, s core.Scripter, name string) *core.Lease {
	t.Helper()
	opts := &core.Options{Expiry: 900 * time.Millisecond, MinValidity: 250 * time.Millisecond, ExtensionCadence: 200 * time.Millisecond}
	_ = lock(t, mutex(t, s, name+" before", longLease)).Release(t.Context()) // connected
	for tries := 1; ; tries++ {
		began := time.Now()
		lease, err := mutex(t, s, name, opts).Lock(t.Context())
		if err == nil {
			t.Cleanup(func() { _ = lease.Release(context.Background()) })
			return lease
		}
		if took := time.Since(began); took < (opts.Expiry-opts.MinValidity)/2 || tries == 5 {
			t.Fatalf("after %v, try %d: %v", took, tries, err)
		}
	}
}

// replicas are the data servers but the primary.
func replicas(t *testing.T, s *redistest.Sentinel) []*redistest.Server {
	t.Helper()
	primary, err := s.Primary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var others []*redistest.Server
	for _, d := range s.Servers() {
		if d != primary {
			others = append(others, d)
		}
	}
	return others
}

// TestFailoverKeepsReplicatedLease fails over after the replicas have the lock: the lease
// outlives the failover, and others are refused by the new primary.
func TestFailoverKeepsReplicatedLease(t *testing.T) {
	t.Parallel() // most of it is waiting
	for _, d := range sentinelClients {
		t.Run(d.client, func(t *testing.T) {
			s := redistest.StartSentinel(t, nil)
			redistest.NeedFaults(t, s.Servers())
			name := t.Name()
			lease := lock(t, mutex(t, d.dial(t, s.Addrs(), s.Name()), name, longLease))
			for _, r := range replicas(t, s) {
				c := direct(t, r.Addr())
				eventually(t, 20*time.Second, "the lock is on "+r.Addr(), func() bool {
					return c.Exists(t.Context(), name).Val() == 1
				})
			}

			// One that lasts less than the failover ends at its deadline.
			short := brief(t, d.dial(t, s.Addrs(), s.Name()), name+" short")
			ended := make(chan time.Time, 1)
			context.AfterFunc(short.Context(), func() { ended <- time.Now() })

			promised := lease.ValidUntil()
			if _, err := s.Failover(t.Context()); err != nil {
				t.Fatal(err)
			}
			over := time.Now()
			if cause := context.Cause(short.Context()); !errors.Is(cause, core.ErrLost) {
				t.Errorf("got %v as the cause of the short lease's end, want ErrLost", cause)
			} else if late := (<-ended).Sub(short.ValidUntil()); late > 5*time.Second {
				t.Errorf("the holder of the short lease was told %v after its deadline", late)
			}
			// An extension counts from when it was sent: one that was sent after the failover
			// moves the deadline to more than an expiry, less drift, after it.
			opt, _ := options.Resolve(longLease)
			eventually(t, 20*time.Second, "an extension by the new primary", func() bool {
				if err := context.Cause(lease.Context()); err != nil {
					t.Fatalf("got %v, want the lease kept", err)
				}
				return lease.ValidUntil().After(over.Add(opt.Expiry - options.Drift(opt.Expiry)))
			})
			select {
			case <-lease.Lost():
				t.Error("Lost is closed, want it open")
			default:
			}
			t.Logf("deadline moved by %v", lease.ValidUntil().Sub(promised).Round(time.Millisecond))

			other := mutex(t, d.dial(t, s.Addrs(), s.Name()), name, longLease)
			if l, err := other.TryLock(t.Context()); !errors.Is(err, core.ErrNotAcquired) {
				t.Errorf("got %v, %v from another client, want ErrNotAcquired: the new primary has the lock", l, err)
			}
			if err := lease.Release(t.Context()); err != nil {
				t.Errorf("release on the new primary: %v", err)
			}
			if next := lock(t, other); next.Token() <= lease.Token() {
				t.Errorf("got token %d after %d", next.Token(), lease.Token())
			}
		})
	}
}

// TestFailoverLosesUnreplicatedLease fails over while the replicas do not have the lock
// yet, as when the primary dies right after its answer: the new primary gives the lock to
// somebody else before the deadline that the first holder was promised. The first holder
// is told by its next extension.
func TestFailoverLosesUnreplicatedLease(t *testing.T) {
	t.Parallel() // most of it is waiting
	for _, d := range sentinelClients {
		t.Run(d.client, func(t *testing.T) {
			s := redistest.StartSentinel(t, nil)
			redistest.NeedFaults(t, s.Servers())
			name := t.Name()
			m := mutex(t, d.dial(t, s.Addrs(), s.Name()), name, longLease)
			behind := replicas(t, s)
			primary, err := s.Primary(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range behind {
				redistest.Do(t, r.Pause)
			}
			// Their connections as well: what the primary sends on them would wait there for them.
			n, err := direct(t, primary.Addr()).ClientKillByFilter(t.Context(), "TYPE", "replica").Result()
			if err != nil || n != 2 {
				t.Fatalf("got %d replicas cut off, %v, want 2", n, err)
			}
			first := lock(t, m)
			redistest.Do(t, primary.Kill)
			promised := first.ValidUntil()
			for _, r := range behind {
				redistest.Do(t, r.Resume)
			}
			if _, err := s.Await(t.Context(), primary); err != nil {
				t.Fatal(err)
			}

			other := mutex(t, d.dial(t, s.Addrs(), s.Name()), name, longLease)
			second := lock(t, other)
			granted := time.Now()
			if !granted.Before(promised) {
				t.Fatalf("the second holder came %v after the first one's deadline: nothing was lost", granted.Sub(promised))
			}
			// Failures make the pauses between extensions longer, up to the cadence and half of
			// it, and a call may take its timeout.
			select {
			case <-first.Context().Done():
			case <-time.After(longLease.ExtensionCadence*3/2 + 2*timeout):
				t.Fatal("the first holder has not been told")
			}
			if cause := context.Cause(first.Context()); !errors.Is(cause, core.ErrLost) {
				t.Errorf("got %v as the cause, want ErrLost", cause)
			}
			t.Logf("second holder %v before the first one's deadline; the first was told %v after that: %v",
				promised.Sub(granted).Round(time.Millisecond), max(0, time.Since(granted)).Round(time.Millisecond), context.Cause(first.Context()))
			if second.Token() <= first.Token() {
				t.Errorf("got token %d for the second holder and %d for the first, want it higher: the servers' clocks agree", second.Token(), first.Token())
			}
			if err := first.Release(t.Context()); !errors.Is(err, core.ErrLost) {
				t.Errorf("got %v from the first one's release, want ErrLost", err)
			}
			if err := context.Cause(second.Context()); err != nil {
				t.Errorf("got %v, want the second holder's lease kept", err)
			}
		})
	}
}

// refusals counts the answers of a primary that has too few replicas.
type refusals struct {
	core.Scripter
	n atomic.Int64
}

func (r *refusals) EvalSha(ctx context.Context, sha string, keys, args []string) ([]int64, error) {
	return r.count(r.Scripter.EvalSha(ctx, sha, keys, args))
}

func (r *refusals) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return r.count(r.Scripter.Eval(ctx, source, keys, args))
}

func (r *refusals) count(reply []int64, err error) ([]int64, error) {
	if err != nil && strings.Contains(err.Error(), "NOREPLICAS") {
		r.n.Add(1)
	}
	return reply, err
}

// TestMinReplicasRefuses shows what min-replicas-to-write is good for: a primary that has
// had no word from its replicas for a while grants nothing that could be lost, and
// extends nothing that the replicas' side may have given to somebody else.
func TestMinReplicasRefuses(t *testing.T) {
	t.Parallel() // most of it is waiting
	s := redistest.StartSentinel(t, &redistest.Config{Args: []string{
		// Replicas send word every second; the rest is for a machine that stands still.
		"--min-replicas-to-write", "1", "--min-replicas-max-lag", "6",
	}})
	redistest.NeedFaults(t, s.Servers())
	d := sentinelClients[0]
	m := mutex(t, d.dial(t, s.Addrs(), s.Name()), t.Name(), longLease)
	lease := lock(t, m)
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused := &refusals{Scripter: d.dial(t, s.Addrs(), s.Name())}
	opts := &core.Options{Expiry: 6 * time.Second, MinValidity: 2 * time.Second, ExtensionCadence: 500 * time.Millisecond}
	held := lock(t, mutex(t, refused, t.Name()+" held", opts))
	behind := replicas(t, s)
	for _, r := range behind {
		redistest.Do(t, r.Pause)
	}
	eventually(t, 20*time.Second, "the primary refuses", func() bool {
		lease, err := m.TryLock(t.Context())
		if err == nil {
			_ = lease.Release(context.Background())
			return false
		}
		var node *core.NodeError
		if !errors.As(err, &node) || !strings.Contains(err.Error(), "NOREPLICAS") {
			t.Fatalf("got %v, want a NodeError with NOREPLICAS", err)
		}
		return true
	})
	select {
	case <-held.Lost():
		// The client asks again a few times when it is refused. Where it does so at the
		// deadline, the cause is that the answer is missing.
		cause := context.Cause(held.Context()).Error()
		asking := strings.Contains(cause, "no answer to an extension") && refused.n.Load() > 0
		if !strings.Contains(cause, "NOREPLICAS") && !asking {
			t.Errorf("got %v as the cause after %d refusals, want it to name NOREPLICAS", cause, refused.n.Load())
		}
	case <-time.After(20 * time.Second):
		t.Error("the lease is still extended by a primary that is alone")
	}
	for _, r := range behind {
		redistest.Do(t, r.Resume)
	}
	eventually(t, 20*time.Second, "the primary grants again", func() bool {
		lease, err := m.TryLock(t.Context())
		if err == nil {
			_ = lease.Release(context.Background())
		}
		return err == nil
	})
}
