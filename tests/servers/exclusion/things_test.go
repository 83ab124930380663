package exclusion_test

import (
	"testing"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// A thing locks: one holder has it at a time.
type thing struct {
	name   string
	single bool // it lives on one node alone
	taken  int  // permits that others must have for it to be such a thing
	make   func(p *redlatch.Provider, name string) (core.Locker, error)
	hold   func(key string) string // the key of the hold
	kind   string                  // in the names of its other keys
}

var things = []thing{
	{
		name: "mutex",
		make: func(p *redlatch.Provider, name string) (core.Locker, error) { return p.Mutex(name), nil },
		hold: func(key string) string { return key },
		kind: "mutex",
	},
	{
		name: "writer",
		make: func(p *redlatch.Provider, name string) (core.Locker, error) { return p.RWMutex(name), nil },
		hold: func(key string) string { return keys.Siblings(key, "rw:writer")[0] },
		kind: "rw",
	},
	{
		name:   "semaphore of 1",
		single: true,
		make:   permits(1),
		hold:   func(key string) string { return key },
		kind:   "semaphore",
	},
	{
		name:   "semaphore of 5 with 4 taken",
		single: true,
		taken:  4,
		make:   permits(5),
		hold:   func(key string) string { return key },
		kind:   "semaphore",
	},
}

func permits(limit int) func(*redlatch.Provider, string) (core.Locker, error) {
	return func(p *redlatch.Provider, name string) (core.Locker, error) {
		s, err := p.Semaphore(name, limit)
		if err != nil {
			return nil, err
		}
		return s.Locker(), nil
	}
}

// An arrangement is nodes and what is wrong with some of them.
type arrangement struct {
	name         string
	nodes        int
	dead, paused []int // the lead among them: that is the harder case
	prefix       string
	rights       bool // as the user that docs/acl.md describes
	cluster      bool // the one node is a Redis Cluster
}

var arrangements = []arrangement{
	{name: "1 node", nodes: 1},
	{name: "1 node, key prefix", nodes: 1, prefix: "app:{tenant}:"},
	{name: "3 nodes", nodes: 3},
	{name: "3 nodes, 1 dead", nodes: 3, dead: []int{0}},
	{name: "1 node, key prefix, least rights", nodes: 1, prefix: clients.Prefix, rights: true},
	{name: "3 nodes, key prefix, least rights", nodes: 3, prefix: clients.Prefix, rights: true},
	{name: "5 nodes, 2 paused", nodes: 5, paused: []int{0, 3}},
	{name: "a cluster", nodes: 1, cluster: true},
}

// start starts the servers and breaks those that are to be broken.
func (a arrangement) start(t *testing.T, image redistest.Image) *fleet {
	t.Helper()
	if a.cluster {
		return startCluster(t, &redistest.Config{Image: image})
	}
	f := start(t, a.nodes, &redistest.Config{Image: image})
	if a.rights {
		redistest.NeedReal(t, f.servers)
		redistest.NeedFaults(t, f.servers) // given servers are not to be changed
		f.user = clients.Limit(t, f.servers)
		t.Cleanup(func() {
			f.closed(t)
			clients.NothingDenied(t, f.servers)
		})
	}
	if len(a.dead)+len(a.paused) == 0 {
		return f
	}
	redistest.NeedFaults(t, f.servers)
	broken := map[int]bool{}
	for _, i := range a.dead {
		redistest.Do(t, f.servers[i].Kill)
		broken[i] = true
	}
	for _, i := range a.paused {
		redistest.Do(t, f.servers[i].Pause)
		broken[i] = true
	}
	f.live = nil
	for i, s := range f.servers {
		if !broken[i] {
			f.live = append(f.live, s)
		}
	}
	f.look(t)
	return f
}

// A subject is one thing on one fleet.
type subject struct {
	thing
	*fleet
	prefix string
}

// options completes the options of a case.
func (s *subject) options(opts core.Options) *core.Options {
	opts.KeyPrefix = s.prefix
	return &opts
}

// named is the name that a case uses: the subjects of a fleet share its servers.
func (s *subject) named(name string) string { return s.thing.name + "/" + name }

// locker returns the thing of that name as p has it.
func (s *subject) locker(t *testing.T, p *redlatch.Provider, name string) core.Locker {
	t.Helper()
	l, err := s.make(p, name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// elsewhere returns the thing of that name as another process has it.
func (s *subject) elsewhere(t *testing.T, name string, opts core.Options) core.Locker {
	t.Helper()
	return s.locker(t, s.process(t, s.options(opts)), name)
}

// prepare takes the permits that others have.
func (s *subject) prepare(t *testing.T, name string) {
	t.Helper()
	if s.taken == 0 {
		return
	}
	l := s.elsewhere(t, name, patient)
	for range s.taken {
		lock(t, l)
	}
}

// queueKey returns the key of the line.
func (s *subject) queueKey(name string) string {
	return keys.Siblings(s.prefix+name, s.kind+":queue")[0]
}

// holdKey returns the key at which the servers have the hold.
func (s *subject) holdKey(name string) string { return s.hold(s.prefix + name) }
