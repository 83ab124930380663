package line_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/line"
)

// at is a server that says where it is.
type at struct {
	*server
	addr string
}

func (a at) Addr() string { return a.addr }

// Refusing is a node that its constructor refuses.
type refusing struct{ *server }

func (refusing) Check() error { return fmt.Errorf("%w: a nil client", core.ErrInvalid) }

// addressed returns servers at 10.0.0.1:6379 and so on, and the mutex "m" on them.
func addressed(t *testing.T, n int, opts *core.Options) ([]*server, *line.Lock) {
	t.Helper()
	ss := servers(n)
	nodes := make([]core.Scripter, n)
	for i, s := range ss {
		nodes[i] = at{s, fmt.Sprintf("10.0.0.%d:6379", i+1)}
	}
	l, err := lockOn(nodes, opts)
	if err != nil {
		t.Fatal(err)
	}
	return ss, l
}

// tries is TryLock's error.
func tries(t *testing.T, l *line.Lock) error {
	_, err := l.TryLock(t.Context())
	return err
}

// within is the error of Lock that is given up after 5 seconds.
func within(t *testing.T, l *line.Lock) error {
	_, err := core.Within(l, 5*time.Second).Lock(t.Context())
	return err
}

// answering is TryLock's error where the node answers so.
func answering(h handler) func(t *testing.T) error {
	return func(t *testing.T) error {
		ss, l := addressed(t, 1, nil)
		ss[0].onAll(h)
		return tries(t, l)
	}
}

// loss is the cause with which a lease ends after something has happened to its server.
func loss(happens func(t *testing.T, s *server, wall *atomic.Int64)) func(t *testing.T) error {
	return func(t *testing.T) error {
		wall := new(atomic.Int64)
		ss, l := addressed(t, 1, &core.Options{Now: func() time.Time { return time.Now().Add(time.Duration(wall.Load())) }})
		lease := take(t, l)
		happens(t, ss[0], wall)
		<-lease.Lost()
		return context.Cause(lease.Context())
	}
}

// situations has what a user reads when something keeps a lock from being had or held.
var situations = []struct {
	name string
	err  func(t *testing.T) error
	want string
}{
	{"others hold it", func(t *testing.T) error {
		ss, l := addressed(t, 1, nil)
		ss[0].seize(time.Hour)
		return tries(t, l)
	}, `redlatch: not acquired: mutex "m" is held or waited for by others`},
	{"others hold it, and one of three nodes is down", func(t *testing.T) error {
		ss, l := addressed(t, 3, nil)
		ss[0].onAll(failing)
		ss[1].seize(time.Hour)
		ss[2].seize(time.Hour)
		return tries(t, l)
	}, `redlatch: not acquired: mutex "m" is held or waited for by others`},
	{"others hold it for as long as the wait", func(t *testing.T) error {
		ss, l := addressed(t, 1, nil)
		ss[0].on("acquire", reply(0, 1, 0, 2, 1, 0)) // the third in line
		return within(t, l)
	}, `redlatch: not acquired: mutex "m" is held or waited for by others: context deadline exceeded after 5s, at place 3 in line`},
	{"others hold it when the context is cancelled for a reason", func(t *testing.T) error {
		ss, l := addressed(t, 1, nil)
		ss[0].seize(time.Hour)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { cancel(errors.New("the user went home")) })
		_, err := l.Lock(ctx)
		return err
	}, `redlatch: not acquired: mutex "m" is held or waited for by others: context canceled (the user went home) after 1.5s`},
	{"the context had ended", func(t *testing.T) error {
		_, l := addressed(t, 1, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := l.Lock(ctx)
		return err
	}, `redlatch: mutex "m": context canceled before anything was asked`},

	{"the node is down", answering(says("dial tcp 10.0.0.1:6379: connect: connection refused")),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): dial tcp 10.0.0.1:6379: connect: connection refused`},
	{"two of three are down, one hangs", func(t *testing.T) error {
		ss, l := addressed(t, 3, nil)
		ss[0].onAll(silent)
		ss[1].onAll(failing)
		ss[2].onAll(failing)
		return tries(t, l)
	}, `redlatch: mutex "m": node 1 (10.0.0.2:6379): connection refused; node 2 (10.0.0.3:6379): connection refused`},
	{"the node hangs", answering(silent), `redlatch: mutex "m": node 0 (10.0.0.1:6379): no answer within 3s`},
	{"the node hangs, after the client had said what is wrong", func(t *testing.T) error {
		ss, l := addressed(t, 1, nil)
		ss[0].onAll(failing)
		_ = tries(t, l)
		time.Sleep(time.Minute)
		ss[0].onAll(silent)
		return tries(t, l)
	}, `redlatch: mutex "m": node 0 (10.0.0.1:6379): no answer within 3s: connection refused`},
	{"the node hangs, and has answered since", func(t *testing.T) error {
		ss, l := addressed(t, 1, nil)
		ss[0].onAll(failing)
		_ = tries(t, l)
		ss[0].onAll(nil)
		free(t, take(t, l))
		ss[0].onAll(silent)
		return tries(t, l)
	}, `redlatch: mutex "m": node 0 (10.0.0.1:6379): no answer within 3s`},
	{"the node hangs until the caller leaves", func(t *testing.T) error {
		ss, l := addressed(t, 1, &core.Options{Expiry: 100 * time.Second})
		ss[0].onAll(silent)
		return within(t, l)
	}, `redlatch: mutex "m": context deadline exceeded after 5s: node 0 (10.0.0.1:6379): no answer before the caller left`},
	{"the node does not say where it is", func(t *testing.T) error {
		ss := servers(1)
		ss[0].onAll(failing)
		return tries(t, mutex(t, ss, nil))
	}, `redlatch: mutex "m": node 0: connection refused`},
	{"the client gives up", answering(func(*call) ([]int64, error) { return nil, fmt.Errorf("read: %w", context.DeadlineExceeded) }),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): the client gave up: read: context deadline exceeded`},
	{"it grants too late", func(t *testing.T) error {
		ss, l := addressed(t, 1, nil)
		ss[0].on("acquire", after(0, 2800*time.Millisecond))
		return tries(t, l)
	}, `redlatch: mutex "m": node 0 (10.0.0.1:6379): granted too late: a majority took 2.8s, the window is 3s less the drift, 302ms`},

	{"no password", answering(says("NOAUTH Authentication required.")),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): NOAUTH Authentication required.`},
	{"another password", answering(says("WRONGPASS invalid username-password pair or user is disabled.")),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): WRONGPASS invalid username-password pair or user is disabled.`},
	{"no right to a key", answering(says("NOPERM No permissions to access a key")),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): NOPERM No permissions to access a key`},
	{"no right to what the script runs", answering(says("ERR ACL failure in script: User lim has no permissions to run the 'time' command script: " + hash + ", on @user_script:1.")),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): ERR ACL failure in script: User lim has no permissions to run the 'time' command`},
	{"something else is at the key", answering(says("WRONGTYPE Operation against a key holding the wrong kind of value script: " + hash + ", on @user_script:30.")),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): the key "m" does not hold what a mutex keeps there (WRONGTYPE): another program, or a lock of another kind, uses that name`},
	{"full memory", answering(says("OOM command not allowed when used memory > 'maxmemory'. script: " + hash + ", on @user_script:12.")),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): OOM command not allowed when used memory > 'maxmemory'.`},
	{"a full disk", answering(says("MISCONF Errors writing to the AOF file: No space left on device")),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): MISCONF Errors writing to the AOF file: No space left on device`},
	{"a guard that is not over", answering(says("GUARDED this node restarted and grants nothing for another 5000 ms")),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): GUARDED this node restarted and grants nothing for another 5000 ms`},
	{"another guard is in force", func(t *testing.T) error {
		ss, l := addressed(t, 1, &core.Options{RestartGuard: time.Minute})
		ss[0].on("acquire", reply(-3, 1, 30000))
		return tries(t, l)
	}, `redlatch: invalid: mutex "m": Options.RestartGuard is 1m0s, but 30s is in force`},
	{"the client was closed", answering(func(*call) ([]int64, error) { return nil, errClosedClient }),
		`redlatch: mutex "m": node 0 (10.0.0.1:6379): the client was closed: redis: client is closed`},
	{"too many calls are without an answer", func(t *testing.T) error {
		ss, l := addressed(t, 1, nil)
		ss[0].onAll(func(*call) ([]int64, error) {
			time.Sleep(5 * time.Minute)
			return nil, errors.New("i/o timeout")
		})
		for range 70 {
			go func() { _ = tries(t, l) }()
		}
		time.Sleep(time.Minute)
		return tries(t, l)
	}, `redlatch: mutex "m": node 0 (10.0.0.1:6379): 64 calls are still without an answer, the node is not asked`},

	{"the provider is closed", func(t *testing.T) error {
		set, l := closable(t, servers(1)[0], nil)
		if err := set.Close(); err != nil {
			t.Error(err)
		}
		return tries(t, l)
	}, `redlatch: closed: mutex "m": the provider is closed`},
	{"a client that cannot serve", func(t *testing.T) error {
		_, err := lockOn([]core.Scripter{refusing{servers(1)[0]}}, nil)
		return err
	}, `redlatch: invalid: node 0: a nil client`},
	{"one server twice", func(t *testing.T) error {
		s := servers(1)[0]
		s.on("probe", func(c *call) ([]int64, error) {
			time.Sleep(time.Duration(c.token) * time.Millisecond) // the second one meets the first one's mark
			return c.run(), nil
		})
		l, err := lockOn([]core.Scripter{at{s, "10.0.0.1:6379"}, at{s, "localhost:6379"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return tries(t, l)
	}, `redlatch: invalid: node 1 (localhost:6379): nodes 0 and 1 are the same server`},

	{"a lease outlives its deadline", loss(func(_ *testing.T, s *server, _ *atomic.Int64) { s.onAll(failing) }),
		`redlatch: lease lost: mutex "m": its deadline passed before a majority confirmed an extension: node 0 (10.0.0.1:6379): connection refused`},
	{"a lease outlives its deadline, the server hangs", loss(func(_ *testing.T, s *server, _ *atomic.Int64) { s.onAll(silent) }),
		`redlatch: lease lost: mutex "m": its deadline passed before a majority confirmed an extension: node 0 (10.0.0.1:6379): no answer within 3s`},
	{"the wall clock passes the deadline", loss(func(_ *testing.T, _ *server, wall *atomic.Int64) {
		time.Sleep(1500 * time.Millisecond)
		wall.Store(int64(time.Hour))
	}), `redlatch: lease lost: mutex "m": the wall clock passed its deadline 28.198s early: the machine was suspended, or the clock was set`},
	{"a majority no longer has the lease", loss(func(_ *testing.T, s *server, _ *atomic.Int64) { s.forget() }),
		`redlatch: lease lost: mutex "m": a majority of the nodes no longer has it`},
	{"a release fails", func(t *testing.T) error {
		ss, l := addressed(t, 1, nil)
		lease := take(t, l)
		ss[0].onAll(failing)
		return lease.Release(t.Context())
	}, `redlatch: mutex "m": node 0 (10.0.0.1:6379): connection refused`},
}

const hash = "0123456789abcdef0123456789abcdef01234567"

// What users read, in full: the lock, the node and its address, what is wrong; the library's
// name once in a line.
func TestTexts(t *testing.T) {
	for _, s := range situations {
		virtual(t, func(t *testing.T) {
			err := s.err(t)
			synctest.Wait()
			if err == nil || err.Error() != s.want {
				t.Errorf("%s:\n got %v\nwant %s", s.name, err, s.want)
				return
			}
			for line := range strings.Lines(err.Error()) {
				if strings.Count(line, "redlatch:") != 1 {
					t.Errorf("%s: the library's name is not there once: %s", s.name, line)
				}
			}
		})
	}
}
