package line_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/hold"
	"github.com/redlatch/redlatch/internal/line"
	"github.com/redlatch/redlatch/internal/protocol"
)

// A server is a core.Scripter that plays one node with one mutex: what the scripts do
// there, in Go, on the bubble's clock. A test decides when and how each call is
// answered, with a handler for its verb.
type server struct {
	mu       sync.Mutex
	owner    string    // of the hold
	ends     time.Time // the hold's TTL
	token    int64     // the fencing counter
	marks    map[string]mark
	uncached bool // knows no script by its hash
	handlers map[string]handler
	calls    []*call
	under    int // calls that have not returned
	most     int // the highest that under has been
}

// mark is what a probe has written.
type mark struct {
	index int64
	ends  time.Time
}

// call is one call that has reached a server.
type call struct {
	*server
	verb   string // acquire, extend, repair, release, remove or probe
	owner  string
	token  int64 // proposed, or to be kept up
	args   []string
	ctx    context.Context
	at     time.Time
	source bool // sent as source
}

// handler answers a call in the call's goroutine. It may sleep.
type handler func(c *call) ([]int64, error)

// hands is the kind of lock under test; its Lua is never run.
var hands = protocol.NewKind("-- played by server in Go", "", "")

// verbs has the name of each script by its hash and its source.
var verbs = func() map[string]string {
	m := map[string]string{}
	for name, s := range map[string]*protocol.Script{
		"acquire": hands.Acquire, "extend": hands.Extend, "repair": hands.Repair, "release": hands.Release, "remove": hands.Remove,
	} {
		if _, err := s.Run(context.Background(), names{m, name}, nil, nil); err != nil {
			panic(err)
		}
	}
	return m
}()

// names is a Scripter that notes by what a script is called.
type names struct {
	of   map[string]string
	name string
}

func (n names) EvalSha(_ context.Context, sha1 string, _, _ []string) ([]int64, error) {
	n.of[sha1] = n.name
	return nil, core.ErrNoScript
}

func (n names) Eval(_ context.Context, source string, _, _ []string) ([]int64, error) {
	n.of[source] = n.name
	return nil, nil
}

// servers returns n of them.
func servers(n int) []*server {
	ss := make([]*server, n)
	for i := range ss {
		ss[i] = &server{marks: map[string]mark{}, handlers: map[string]handler{}}
	}
	return ss
}

// on sets what answers the calls of a verb from now on; nil: the server itself.
func (s *server) on(verb string, h handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[verb] = h
}

// onAll sets what answers all calls from now on.
func (s *server) onAll(h handler) {
	for _, verb := range []string{"acquire", "extend", "repair", "release", "remove", "probe"} {
		s.on(verb, h)
	}
}

// EvalSha implements core.Scripter.
func (s *server) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	s.mu.Lock()
	unknown := s.uncached
	s.mu.Unlock()
	if unknown {
		return nil, fmt.Errorf("%w: NOSCRIPT No matching script", core.ErrNoScript)
	}
	return s.answer(&call{server: s, verb: verbs[sha1], ctx: ctx, args: args}, keys)
}

// Eval implements core.Scripter.
func (s *server) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return s.answer(&call{server: s, verb: verbs[source], ctx: ctx, args: args, source: true}, keys)
}

func (s *server) answer(c *call, keys []string) ([]int64, error) {
	c.at = time.Now()
	switch {
	case strings.HasPrefix(keys[0], "probe:"):
		c.verb, c.owner = "probe", keys[0]
		c.token, _ = strconv.ParseInt(c.args[0], 10, 64)
	case c.verb == "":
		return nil, errors.New("a script that nobody knows")
	default:
		c.owner = c.args[0]
		c.token, _ = strconv.ParseInt(c.args[4], 10, 64)
	}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.under++
	s.most = max(s.most, s.under)
	h := s.handlers[c.verb]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.under--
		s.mu.Unlock()
	}()
	if h == nil {
		return c.run(), nil
	}
	return h(c)
}

// run is what the script does, at this moment.
func (c *call) run() []int64 {
	s, now := c.server, time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	micros := now.UnixMicro()
	if !now.Before(s.ends) {
		s.owner = ""
	}
	expiry, mine := 30*time.Second, s.owner == c.owner
	if c.verb != "probe" {
		ms, _ := strconv.Atoi(c.args[2])
		expiry = time.Duration(ms) * time.Millisecond
	}
	switch c.verb {
	case "acquire":
		if s.owner != "" && !mine {
			return []int64{0, micros, s.ends.Sub(now).Milliseconds(), -1, 1, 0}
		}
		s.owner, s.ends, s.token = c.owner, now.Add(expiry), max(s.token+1, c.token)
		return []int64{1, micros, s.token, -1, 0}
	case "extend":
		switch {
		case s.owner == "":
			return []int64{0, micros}
		case !mine:
			return []int64{-1, micros}
		}
		s.ends, s.token = now.Add(expiry), max(s.token, c.token)
		return []int64{1, micros}
	case "repair":
		if s.owner != "" && !mine {
			return []int64{0, micros}
		}
		s.owner, s.ends, s.token = c.owner, now.Add(expiry), max(s.token, c.token)
		return []int64{1, micros}
	case "release", "remove":
		if !mine {
			return []int64{0, micros}
		}
		s.owner = ""
		return []int64{1, micros}
	default:
		m, ok := s.marks[c.owner]
		if !ok || !now.Before(m.ends) {
			m = mark{c.token, now.Add(time.Minute)}
			s.marks[c.owner] = m
		}
		return []int64{1, micros, m.index}
	}
}

// seize gives the lock to somebody else.
func (s *server) seize(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owner, s.ends = "somebody else", time.Now().Add(d)
}

// forget takes the hold away.
func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owner = ""
}

// holder returns who has the lock there.
func (s *server) holder() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !time.Now().Before(s.ends) {
		return ""
	}
	return s.owner
}

// counter returns the fencing counter.
func (s *server) counter() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// seen returns the calls of a verb so far.
func (s *server) seen(verb string) []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.calls), func(c *call) bool { return c.verb != verb })
}

// after answers after out on the way there and in on the way back, whatever becomes of
// the context: so do most clients.
func after(out, in time.Duration) handler {
	return func(c *call) ([]int64, error) {
		time.Sleep(out)
		reply := c.run()
		time.Sleep(in)
		return reply, nil
	}
}

// silent never answers: the client comes back when the context ends.
func silent(c *call) ([]int64, error) {
	<-c.ctx.Done()
	return nil, c.ctx.Err()
}

// failing answers with an error.
func failing(c *call) ([]int64, error) { return nil, errors.New("connection refused") }

// reply answers what it is given and does nothing.
func reply(numbers ...int64) handler {
	return func(*call) ([]int64, error) { return slices.Clone(numbers), nil }
}

// Options of all tests, and what follows from them.
const (
	expiry  = 30 * time.Second
	drift   = expiry/100 + 2*time.Millisecond
	window  = expiry / 10 // Expiry - MinValidity
	cadence = expiry / 3
	worth   = expiry - drift // of an answer, from its call's begin on
)

// virtual runs a test in virtual time, and lets everything that is still under way come
// to its end: a goroutine that is left then fails the test.
func virtual(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(10 * time.Minute)
		test(t)
	})
}

// handMade is the mutex of the servers here.
var handMade = hold.Spec{Kind: hands, Named: "mutex", Param: "w", Stand: 2, Fenced: true}

// lockOn returns the lock of one name on the nodes.
func lockOn(nodes []core.Scripter, opts *core.Options) (*line.Lock, error) {
	return line.NewLock(nodes, "m", opts, handMade)
}

// mutex returns the lock of one name on the servers.
func mutex(t *testing.T, ss []*server, opts *core.Options) *line.Lock {
	t.Helper()
	nodes := make([]core.Scripter, len(ss))
	for i, s := range ss {
		nodes[i] = s
	}
	l, err := lockOn(nodes, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// setOf returns the set of the servers.
func setOf(ss []*server) (*line.Group, error) {
	nodes := make([]core.Scripter, len(ss))
	for i, s := range ss {
		nodes[i] = s
	}
	return line.NewGroup(nodes, nil)
}

// closable returns the lock of one name on the server, and the set that it belongs to.
func closable(t *testing.T, s *server, opts *core.Options) (*line.Group, *line.Lock) {
	t.Helper()
	set, err := line.NewGroup([]core.Scripter{s}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return set, set.Lock("m", handMade)
}

// take takes the lock, which must be free.
func take(t *testing.T, l *line.Lock) *core.Lease {
	t.Helper()
	lease, err := l.TryLock(t.Context())
	if err != nil {
		t.Fatalf("TryLock: %v", err)
	}
	synctest.Wait() // for the answers that it did not wait for
	return lease
}

// validUntil fails the test unless the lease's deadline is want.
func validUntil(t *testing.T, lease *core.Lease, want time.Time, why string) {
	t.Helper()
	if got := lease.ValidUntil(); !got.Equal(want) {
		t.Errorf("the deadline is %v off: %s", got.Sub(want), why)
	}
}

// lostAt waits for the loss of the lease and fails the test unless it comes at want.
func lostAt(t *testing.T, lease *core.Lease, want time.Time, why string) {
	t.Helper()
	select {
	case <-lease.Lost():
	case <-time.After(time.Until(want) + time.Hour):
		t.Fatalf("an hour later the lease is still held: %s", why)
	}
	if now := time.Now(); !now.Equal(want) {
		t.Errorf("lost %v after the deadline: %s", now.Sub(want), why)
	}
}

// free releases the lease and fails the test if it was lost.
func free(t *testing.T, lease *core.Lease) {
	t.Helper()
	if err := lease.Release(t.Context()); err != nil {
		t.Errorf("Release: %v", err)
	}
}
