package exclusion_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit"
)

// node is what a spy stands before.
type node interface {
	core.Scripter
	core.Subscriber
}

// A spy is a Scripter that knows which script each call runs, counts the calls, and can
// hold them up. It knows a script by the head line of its source.
type spy struct {
	node

	mu       sync.Mutex
	verbs    map[string]string // by SHA-1
	asked    map[string]int
	answered map[string]int
	failed   map[string]int
	record   []*spied // nil: not wanted
	gates    map[string]chan struct{}
	changed  chan struct{} // closed and replaced whenever a counter moves
}

// spied is one call.
type spied struct {
	verb, owner string
	from, to    time.Time // to is zero while the call is under way
}

func newSpy(n node) *spy {
	return &spy{
		node: n, verbs: map[string]string{}, asked: map[string]int{}, answered: map[string]int{}, failed: map[string]int{},
		gates: map[string]chan struct{}{}, changed: make(chan struct{}),
	}
}

// spies returns Scripters on clients of their own, watched.
func (f *fleet) spies(t *testing.T) ([]*spy, []core.Scripter) {
	return watched(t, dial(redistest.Addrs(f.servers), f.user, f.cluster))
}

// watched returns Scripters on the clients, watched. The clients are closed when the test ends.
func watched(t *testing.T, clients []redis.UniversalClient) (ss []*spy, nodes []core.Scripter) {
	for _, c := range clients {
		t.Cleanup(func() { _ = c.Close() })
		ss = append(ss, newSpy(goredis.New(c)))
		nodes = append(nodes, ss[len(ss)-1])
	}
	return ss, nodes
}

// EvalSha answers "not cached" until the source has said what the script is.
func (s *spy) EvalSha(ctx context.Context, sha string, keys, args []string) ([]int64, error) {
	s.mu.Lock()
	verb, ok := s.verbs[sha]
	s.mu.Unlock()
	if !ok {
		return nil, core.ErrNoScript
	}
	return s.call(verb, args, func() ([]int64, error) { return s.node.EvalSha(ctx, sha, keys, args) })
}

func (s *spy) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	verb := testkit.Verb(source)
	sum := sha1.Sum([]byte(source))
	s.mu.Lock()
	s.verbs[hex.EncodeToString(sum[:])] = verb
	s.mu.Unlock()
	return s.call(verb, args, func() ([]int64, error) { return s.node.Eval(ctx, source, keys, args) })
}

func (s *spy) call(verb string, args []string, run func() ([]int64, error)) ([]int64, error) {
	s.mu.Lock()
	s.count(s.asked, verb)
	own := &spied{verb: verb, owner: args[0], from: time.Now()}
	if s.record != nil {
		s.record = append(s.record, own)
	}
	gate := s.gates[verb]
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	reply, err := run()
	s.mu.Lock()
	defer s.mu.Unlock()
	own.to = time.Now()
	if err == nil {
		s.count(s.answered, verb)
	} else {
		s.count(s.failed, verb)
	}
	return reply, err
}

func (s *spy) count(m map[string]int, verb string) {
	m[verb]++
	close(s.changed)
	s.changed = make(chan struct{})
}

// recorded returns the calls that were made since the last time, and begins anew.
func (s *spy) recorded() (calls []spied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.record {
		calls = append(calls, *c)
	}
	s.record = []*spied{}
	return calls
}

// hold holds up calls of that verb, before they are sent, until let is called.
func (s *spy) hold(verb string) (let func()) {
	gate := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gates[verb] = gate
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.gates, verb)
		close(gate)
	})
}

// of returns how often the verb was asked for, answered, and failed.
func (s *spy) of(verb string) (asked, answered, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[verb], s.answered[verb], s.failed[verb]
}

// await waits until more than n calls of the verb have been asked, answered or failed.
func (s *spy) await(t *testing.T, verb, what string, n int) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		now, changed := s.asked[verb], s.changed
		switch what {
		case "answered":
			now = s.answered[verb]
		case "failed":
			now = s.failed[verb]
		}
		s.mu.Unlock()
		if now > n {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%d calls of %s %s, more than %d wanted", now, verb, what, n)
		}
	}
}
