package line_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/line"
)

// many is a core.Scripter that plays one node with any number of mutexes that nobody else
// wants: whatever is asked is granted, after the way there and back.
type many struct {
	mu    sync.Mutex
	way   time.Duration          // there, and the same back
	down  bool                   // refuses connections
	lame  func(name string) bool // those of which it does
	hung  func(name string) bool // those that hang with it; nil: all
	woken chan struct{}
	deaf  bool                // what hangs minds no context
	seen  map[string][]string // names, in the order in which they came, by verb
	under map[string]int      // calls that have not returned, by verb
	most  map[string]int
}

func newMany(way time.Duration) *many {
	return &many{way: way, seen: map[string][]string{}, under: map[string]int{}, most: map[string]int{}}
}

func (m *many) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	verb := verbs[sha1]
	m.mu.Lock()
	m.seen[verb] = append(m.seen[verb], keys[0])
	m.under[verb]++
	m.most[verb] = max(m.most[verb], m.under[verb])
	down, woken, way, ctxDone := m.down || m.lame != nil && m.lame(keys[0]), m.woken, m.way, ctx.Done()
	if m.deaf {
		ctxDone = nil
	}
	if m.hung != nil && !m.hung(keys[0]) {
		woken = nil
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.under[verb]--
		m.mu.Unlock()
	}()
	if down {
		return nil, errors.New("connection refused")
	}
	if woken != nil {
		select {
		case <-woken:
		case <-ctxDone:
			return nil, ctx.Err()
		}
	}
	time.Sleep(way)
	now := time.Now().UnixMicro()
	time.Sleep(way)
	switch verb {
	case "acquire":
		return []int64{1, now, now, -1, 0}, nil
	case "":
		return []int64{1, now, int64(args[0][0] - '0')}, nil // a probe
	}
	return []int64{1, now}, nil
}

func (m *many) Eval(context.Context, string, []string, []string) ([]int64, error) {
	panic("the script is cached")
}

// slow sets the way.
func (m *many) slow(way time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.way = way
}

// peak returns how many calls of a verb were under way at a time since the last look.
func (m *many) peak(verb string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	most := m.most[verb]
	m.most[verb] = 0
	return most
}

// stop makes the node refuse connections, or serve again.
func (m *many) stop(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// hang makes the node stop answering, or go on.
func (m *many) hang(hangs bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if hangs {
		m.woken = make(chan struct{})
	} else {
		close(m.woken)
		m.woken = nil
	}
}

// asked returns the names of a verb's calls so far.
func (m *many) asked(verb string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.seen[verb])
}

// crowd returns so many locks of one set, each with a name of its own.
func crowd(t *testing.T, count int, opts *core.Options, nodes ...*many) (*line.Group, []*line.Lock) {
	t.Helper()
	var scripters []core.Scripter
	for _, n := range nodes {
		scripters = append(scripters, n)
	}
	set, err := line.NewGroup(scripters, opts)
	if err != nil {
		t.Fatal(err)
	}
	locks := make([]*line.Lock, count)
	for i := range locks {
		locks[i] = set.Lock(fmt.Sprint(i), handMade)
	}
	return set, locks
}

// takeAll takes all of them together.
func takeAll(t *testing.T, locks []*line.Lock) []*core.Lease {
	t.Helper()
	leases := make([]*core.Lease, len(locks))
	var wg sync.WaitGroup
	for i, l := range locks {
		wg.Go(func() {
			lease, err := l.TryLock(t.Context())
			if err != nil {
				t.Error(err)
			}
			leases[i] = lease
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return leases
}
