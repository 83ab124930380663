package exclusion_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/redlock"
)

// 15: a TTL that rounds down: "acquired" with no key, or with one that has no TTL.
func TestPeer15OddExpiry(t *testing.T) {
	t.Parallel()
	f := start(t, 1, nil)
	for _, expiry := range []time.Duration{time.Nanosecond, 999 * time.Microsecond, 99*time.Millisecond + 999*time.Microsecond} {
		if _, err := redlock.NewMutex(connect(t, f.servers[0].Addr()), "odd", &core.Options{Expiry: expiry}); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("expiry %v: got %v, want ErrInvalid", expiry, err)
		}
	}
	for _, expiry := range []time.Duration{100 * time.Millisecond, 400*time.Millisecond + 1, time.Second + 999*time.Microsecond} {
		for _, th := range things[:3] {
			name := fmt.Sprint(th.name, expiry)
			opts := &core.Options{Expiry: expiry, MinValidity: 20 * time.Millisecond, ExtensionCadence: 5 * time.Millisecond}
			l, err := th.make(f.process(t, opts), name)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, 30*time.Second, "a lease lives until its TTL has been read", func() bool {
				lease, err := l.TryLock(t.Context())
				if err != nil {
					return false // no answer within the window
				}
				ttl, err := f.raw[0].PTTL(t.Context(), th.hold(name)).Result()
				live := lease.Context().Err() == nil // read after the TTL: a machine may sleep that long
				if up := expiry.Truncate(time.Millisecond) + time.Millisecond; err != nil || live && (ttl <= 0 || ttl > up) {
					t.Errorf("%s: got the TTL %v, %v for the expiry %v", th.name, ttl, err, expiry)
				}
				_ = lease.Release(t.Context()) // the window is too short to insist on an answer
				return live
			})
		}
	}
}

// 15: tokens above 2^53, or close, come back changed.
func TestPeer15TokensAreExact(t *testing.T) {
	t.Parallel()
	f := start(t, 1, nil)
	const name = "exact"
	meta := keys.Siblings(name, "mutex:meta")[0]
	stored := func() string {
		v, err := f.raw[0].HGet(t.Context(), meta, "token").Result()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	l := f.mutex(t, name, nil)
	lease := lock(t, l)
	if got := strconv.FormatInt(lease.Token(), 10); got != stored() || time.Since(time.UnixMicro(lease.Token())).Abs() > time.Minute {
		t.Errorf("got token %s, %s is stored; want the time in us", got, stored())
	}
	release(t, lease)

	// An odd number an hour ahead, then each following one.
	next := time.Now().Add(time.Hour).UnixMicro() | 1
	if err := f.raw[0].HSet(t.Context(), meta, "token", next).Err(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		next++
		lease := lock(t, l)
		if lease.Token() != next || stored() != strconv.FormatInt(next, 10) {
			t.Errorf("got token %d, %s is stored; want %d", lease.Token(), stored(), next)
		}
		release(t, lease)
	}

	// More than a day ahead, and where a float would round: an error, not another number.
	for _, bad := range []int64{time.Now().Add(25 * time.Hour).UnixMicro(), 1<<53 - 1, 1 << 53, 1<<62 + 1} {
		if err := f.raw[0].HSet(t.Context(), meta, "token", bad).Err(); err != nil {
			t.Fatal(err)
		}
		lease, err := l.TryLock(t.Context())
		var node *core.NodeError
		if lease != nil || !errors.As(err, &node) || errors.Is(err, core.ErrNotAcquired) {
			t.Errorf("counter at %d: got %v, %v; want a NodeError", bad, lease, err)
		}
		if f.holding(t, name) != 0 {
			t.Errorf("counter at %d: the lock is held", bad)
		}
	}
}

// 21: cancelled, deadline, held, and failing nodes cannot be told apart; an error without
// a text.
func TestPeer21ErrorsApart(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			f := start(t, nodes, nil)
			ps, addrs := f.proxies(t)
			lease := lock(t, f.mutex(t, "apart", nil))
			opts := &core.Options{Expiry: 10 * time.Second, MinValidity: 4 * time.Second, MaxBusyWait: 50 * time.Millisecond}
			l := mutex(t, f.at(t, addrs, opts), "apart")
			var node *core.NodeError

			_, err := l.TryLock(t.Context())
			is(t, "held", err, errs{core.ErrNotAcquired}, errs{context.Canceled, context.DeadlineExceeded})
			if errors.As(err, &node) {
				t.Errorf("held: got %v, want no NodeError", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, err = l.Lock(ctx)
			is(t, "deadline", err, errs{core.ErrNotAcquired, context.DeadlineExceeded}, errs{context.Canceled})
			_, err = l.TryLock(ctx)
			is(t, "TryLock after the deadline", err, errs{context.DeadlineExceeded}, errs{core.ErrNotAcquired})
			_, err = l.Lock(ctx)
			is(t, "Lock after the deadline", err, errs{context.DeadlineExceeded}, errs{core.ErrNotAcquired})
			cancel()
			why := errors.New("the user went home")
			ctx, cancelled := context.WithCancelCause(t.Context())
			time.AfterFunc(2*time.Second, func() { cancelled(why) })
			_, err = l.Lock(ctx)
			is(t, "cancelled", err, errs{core.ErrNotAcquired, context.Canceled, why}, errs{context.DeadlineExceeded})

			// The nodes fail after they have answered once: ridden out, and named.
			ctx, cancel = context.WithCancel(t.Context())
			defer cancel()
			spies, scripters := watched(t, dial(addrs, f.user, f.cluster))
			waiting := mutex(t, provider(t, scripters, opts), "apart")
			result := make(chan error)
			go func() {
				_, err := waiting.Lock(ctx)
				result <- err
			}()
			for _, s := range spies {
				s.await(t, "acquire", "answered", 0)
			}
			// To the one in line the lead answers for all; the third call follows that answer.
			spies[0].await(t, "acquire", "asked", 2)
			refused := make([]int, nodes)
			for i, p := range ps {
				refused[i] = p.Stats().Refused
				p.Refuse()
				p.Cut()
			}
			for _, s := range spies {
				s.await(t, "acquire", "failed", 0)
			}
			asked, _, _ := spies[0].of("acquire")
			spies[0].await(t, "acquire", "asked", asked) // by an attempt after the one that failed
			cancel()
			err = <-result
			is(t, "failing later", err, errs{context.Canceled}, errs{core.ErrNotAcquired, context.DeadlineExceeded})
			if !errors.As(err, &node) {
				t.Errorf("failing later: got %v, want a NodeError in it", err)
			}

			// They fail from the start.
			_, err = l.TryLock(t.Context())
			wantUnreachable(t, "TryLock", err)
			began := time.Now()
			_, err = l.Lock(t.Context())
			wantUnreachable(t, "Lock", err)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("Lock took %v to say that no node can be reached", took)
			}
			for i, p := range ps {
				if p.Stats().Refused == refused[i] {
					t.Errorf("node %d refused nothing", i)
				}
				p.Accept()
			}
			release(t, lease)
		})
	}
}

func wantUnreachable(t *testing.T, what string, err error) {
	t.Helper()
	var node *core.NodeError
	if !errors.As(err, &node) || node.Err == nil || node.Err.Error() == "" {
		t.Errorf("%s: got %v, want NodeErrors", what, err)
	}
	is(t, what, err, nil, errs{core.ErrNotAcquired, context.Canceled, context.DeadlineExceeded})
}

// both names two nodes in either order.
func both(i, j int) []string {
	return []string{fmt.Sprintf("nodes %d and %d", i, j), fmt.Sprintf("nodes %d and %d", j, i)}
}

// 22: the same server listed twice: never acquires, silently.
func TestPeer22SameServerTwice(t *testing.T) {
	t.Parallel()
	f := start(t, 3, nil)
	a, b, c := f.servers[0].Addr(), f.servers[1].Addr(), f.servers[2].Addr()
	_, port, err := net.SplitHostPort(a)
	if err != nil {
		t.Fatal(err)
	}
	alias := net.JoinHostPort("localhost", port)
	for _, tt := range []struct {
		name  string
		addrs []string
		pairs []string
		sure  bool // no majority without the pair
	}{
		{"both", []string{a, a}, both(0, 1), true},
		{"by another name", []string{a, alias}, both(0, 1), true},
		{"all of three", []string{a, a, a}, append(both(0, 1), append(both(0, 2), both(1, 2)...)...), true},
		{"two of three", []string{a, b, a}, both(0, 2), false},
		{"two of four", []string{a, b, c, b}, both(1, 3), false},
		{"three of five", []string{a, b, a, c, a}, append(both(0, 2), append(both(0, 4), both(2, 4)...)...), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := provider(t, connect(t, tt.addrs...), nil)
			m := mutex(t, p, t.Name())
			// Where different servers are a majority and the machine is busy, they may answer
			// first, rightly. What has been said once is said from then on.
			var said error
			for i := range 50 {
				try := m.TryLock
				if i%2 == 1 {
					try = m.Lock
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				lease, err := try(ctx)
				cancel()
				switch {
				case err != nil:
					is(t, fmt.Sprint("call ", i, " on the same server twice"), err, errs{core.ErrInvalid}, errs{core.ErrNotAcquired})
					said = err
				case tt.sure:
					t.Fatal("a lock was granted by one server that counted twice")
				case said != nil:
					t.Errorf("call %d is granted, after %v", i, said)
					fallthrough
				default:
					release(t, lease)
				}
			}
			is(t, "the same server twice", said, errs{core.ErrInvalid}, errs{core.ErrNotAcquired})
			if said != nil && !slices.ContainsFunc(tt.pairs, func(p string) bool { return strings.Contains(said.Error(), p+" are the same server") }) {
				t.Errorf("got %q, want it to name one of %q", said, tt.pairs)
			}
			f.absent(t, t.Name(), soon)
		})
	}
	t.Run("the same Scripter", func(t *testing.T) {
		s := goredis.New(client(t, a))
		_, err := redlock.NewMutex([]core.Scripter{s, s}, "twice", nil)
		is(t, "NewMutex", err, errs{core.ErrInvalid}, nil)
	})
	t.Run("nil client", func(t *testing.T) {
		_, err := redlock.NewMutex([]core.Scripter{goredis.New(client(t, a)), goredis.New(nil)}, "nil", nil)
		var node *core.NodeError
		if !errors.Is(err, core.ErrInvalid) || !errors.As(err, &node) || node.Node != 1 || !strings.Contains(err.Error(), "nil") {
			t.Errorf("got %v, want ErrInvalid that names node 1 and nil", err)
		}
	})
}
