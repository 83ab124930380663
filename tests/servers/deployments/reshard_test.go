package deployments_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// A move takes a slot from one node of a cluster to another, as redis-cli does it.
type move struct {
	t      *testing.T
	slot   int
	nodes  []*redis.Client // the one that has the slot, the one that gets it, the rest
	ids    []string
	target []any // host and port of the second
}

// moving returns the move of a key's slot to the next node.
func moving(t *testing.T, servers []*redistest.Server, key string) *move {
	t.Helper()
	m := &move{t: t, slot: int(keys.Slot(key))}
	shards, err := direct(t, servers[0].Addr()).ClusterShards(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	owner := ""
	for _, shard := range shards {
		for _, r := range shard.Slots {
			if r.Start <= int64(m.slot) && int64(m.slot) <= r.End {
				owner = shard.Nodes[0].ID // there are no replicas
			}
		}
	}
	first := slices.IndexFunc(servers, func(s *redistest.Server) bool {
		id, err := direct(t, s.Addr()).Do(t.Context(), "CLUSTER", "MYID").Text()
		return err == nil && id == owner
	})
	if first < 0 {
		t.Fatalf("no server is %q, which has slot %d", owner, m.slot)
	}
	for i := range servers {
		addr := servers[(first+i)%len(servers)].Addr()
		node := direct(t, addr)
		id, err := node.Do(t.Context(), "CLUSTER", "MYID").Text()
		if err != nil {
			t.Fatal(err)
		}
		m.nodes, m.ids = append(m.nodes, node), append(m.ids, id)
		if host, port, err := net.SplitHostPort(addr); err == nil && i == 1 {
			m.target = []any{host, port}
		}
	}
	return m
}

func (m *move) do(node int, args ...any) {
	m.t.Helper()
	if err := m.nodes[node].Do(m.t.Context(), args...).Err(); err != nil {
		m.t.Fatalf("%v: %v", args, err)
	}
}

// open begins the move.
func (m *move) open() {
	m.t.Helper()
	m.do(1, "CLUSTER", "SETSLOT", m.slot, "IMPORTING", m.ids[0])
	m.do(0, "CLUSTER", "SETSLOT", m.slot, "MIGRATING", m.ids[1])
}

// carry moves the keys, one after the other, and returns how many there were.
func (m *move) carry() (n int) {
	m.t.Helper()
	for ; ; n++ {
		names, err := m.nodes[0].ClusterGetKeysInSlot(m.t.Context(), m.slot, 1).Result()
		if err != nil {
			m.t.Fatal(err)
		}
		if len(names) == 0 {
			return n
		}
		m.do(0, append(append([]any{"MIGRATE"}, m.target...), names[0], 0, 5000)...)
	}
}

// close ends the move.
func (m *move) close() {
	m.t.Helper()
	for _, node := range []int{1, 0, 2} {
		m.do(node, "CLUSTER", "SETSLOT", m.slot, "NODE", m.ids[1])
	}
}

// told is a Scripter that counts the calls that were refused because a slot is being moved.
type told struct {
	core.Scripter
	times atomic.Int32
}

func (s *told) EvalSha(ctx context.Context, sha string, keys, args []string) ([]int64, error) {
	return s.count(s.Scripter.EvalSha(ctx, sha, keys, args))
}

func (s *told) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return s.count(s.Scripter.Eval(ctx, source, keys, args))
}

func (s *told) count(reply []int64, err error) ([]int64, error) {
	if err != nil && strings.Contains(err.Error(), "TRYAGAIN") {
		s.times.Add(1)
	}
	return reply, err
}

// moved are the options of programs whose slots are moved.
var moved = core.Options{Expiry: 4 * time.Second, MinValidity: 500 * time.Millisecond, ExtensionCadence: 300 * time.Millisecond}

// program returns a provider on a client of its own, and what it is told.
func program(t *testing.T, d dialer, servers []*redistest.Server) (*redlatch.Provider, *told) {
	t.Helper()
	node := &told{Scripter: d.dial(t, redistest.Addrs(servers), "")}
	p, err := redlatch.New(&moved, node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, node
}

// of are the four kinds of lock with names that begin alike.
func of(t *testing.T, p *redlatch.Provider, name string) map[checker.Kind][]core.Locker {
	t.Helper()
	s, err := p.Semaphore(name+"permit", 2)
	if err != nil {
		t.Fatal(err)
	}
	return map[checker.Kind][]core.Locker{
		checker.Exclusive: {p.Mutex(name + "mutex"), p.RWMutex(name + "writer")},
		checker.Shared:    {p.RWMutex(name + "reader").RLocker()},
		checker.Permit:    {s.Locker()},
	}
}

// oneOfEach takes one lock of each kind.
func oneOfEach(t *testing.T, p *redlatch.Provider, name string) (leases []*core.Lease) {
	t.Helper()
	for _, lockers := range of(t, p, name) {
		for _, l := range lockers {
			lease, err := l.Lock(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", l.Name(), err)
			}
			leases = append(leases, lease)
		}
	}
	return leases
}

// extended waits until the leases have been extended to a time after that.
func extended(t *testing.T, leases []*core.Lease, to time.Time, when string) {
	t.Helper()
	for _, l := range leases {
		eventually(t, 5*moved.Expiry, l.Name()+" is extended "+when, func() bool {
			return l.Context().Err() != nil || l.ValidUntil().After(to)
		})
		if l.Context().Err() != nil {
			t.Errorf("%s ended %s: %v", l.Name(), when, context.Cause(l.Context()))
		}
	}
}

// While a slot is open, for longer than a lease lives, and its keys are moved, leases that
// nobody waits for live and can be given back. Who locks a free name waits.
func TestClusterSlotOpen(t *testing.T) {
	servers := clients.Cluster(t)
	redistest.NeedReal(t, servers)
	redistest.NeedFaults(t, servers) // given servers are not to be changed
	for _, d := range clusterClients {
		t.Run(d.client, func(t *testing.T) {
			tag := "{" + t.Name() + "}"
			holder, _ := program(t, d, servers)
			kept, given := oneOfEach(t, holder, tag+"kept "), oneOfEach(t, holder, tag+"given ")
			m := moving(t, servers, tag)
			m.open()
			opened := time.Now()
			other, node := program(t, d, servers)
			waiting := clients.Wait(t, of(t, other, tag+"free ")[checker.Exclusive][0].Lock)
			extended(t, append(kept, given...), opened.Add(2*moved.Expiry), "for an expiry in an open slot")
			for _, l := range given {
				if err := l.Release(t.Context()); err != nil {
					t.Errorf("%s: Release in an open slot: %v", l.Name(), err)
				}
			}
			eventually(t, timeout, "the free name is in the open slot, too", func() bool { return node.times.Load() > 0 })
			if waiting.Done() {
				_, err := waiting.Result()
				t.Errorf("Lock of a free name in an open slot: %v", err)
			}
			if n := m.carry(); n == 0 {
				t.Error("no key was moved")
			}
			extended(t, kept, time.Now().Add(moved.Expiry+moved.ExtensionCadence), "at the node that the keys were moved to")
			m.close()
			lease, err := waiting.Result()
			if err != nil {
				t.Fatalf("Lock of a free name, once the slot was moved: %v", err)
			}
			extended(t, kept, time.Now().Add(moved.Expiry+moved.ExtensionCadence), "after the move")
			for _, l := range append(kept, lease) {
				if err := l.Release(t.Context()); err != nil {
					t.Errorf("%s: Release: %v", l.Name(), err)
				}
			}
		})
	}
}

// Slots are moved to and fro under load: no lock is held twice, no lease is lost, no call
// fails.
func TestClusterReshard(t *testing.T) {
	servers := clients.Cluster(t)
	redistest.NeedReal(t, servers)
	redistest.NeedFaults(t, servers) // given servers are not to be changed
	const rounds, programs = 6, 3
	for _, d := range clusterClients {
		t.Run(d.client, func(t *testing.T) {
			tag := "{" + t.Name() + "}"
			holder, _ := program(t, d, servers)
			kept := oneOfEach(t, holder, tag+"kept ")
			h := checker.NewHistory()
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			t.Cleanup(wg.Wait)
			t.Cleanup(stop)
			nodes := make([]*told, programs)
			grants := make([]atomic.Int32, programs)
			for i := range programs {
				p, node := program(t, d, servers)
				nodes[i] = node
				for kind, lockers := range of(t, p, tag) {
					for _, l := range lockers {
						wg.Go(func() {
							for ctx.Err() == nil {
								a := h.Ask(checker.Request{Name: l.Name(), Client: fmt.Sprint(i), Kind: kind, Limit: map[bool]int{true: 2}[kind == checker.Permit]})
								lease, err := l.Lock(ctx)
								if err != nil {
									a.GaveUp()
									if ctx.Err() == nil {
										t.Errorf("%s: Lock: %v", l.Name(), err)
									}
									return
								}
								a.Granted(lease)
								grants[i].Add(1)
								time.Sleep(2 * time.Millisecond) // the work
								a.Released()
								if err := lease.Release(context.WithoutCancel(ctx)); err != nil {
									t.Errorf("%s: Release: %v", l.Name(), err)
								}
							}
						})
					}
				}
			}
			refusals := func() (n int32) {
				for _, node := range nodes {
					n += node.times.Load()
				}
				return n
			}
			more := func(what string, count func() int32) {
				t.Helper()
				before := count()
				eventually(t, timeout, what, func() bool { return count() > before })
			}
			carried := 0
			for range rounds {
				m := moving(t, servers, tag)
				m.open()
				more("the load meets the open slot", refusals)
				carried += m.carry()
				m.close()
				for i := range grants {
					more("each program takes locks where the slot was moved to", grants[i].Load)
				}
			}
			stop()
			wg.Wait()
			t.Logf("%d calls refused, %d keys moved", refusals(), carried)
			if err := h.Check(nil); err != nil {
				t.Error(err)
			}
			for _, l := range kept {
				if err := l.Release(t.Context()); err != nil {
					t.Errorf("%s, held all the time: %v", l.Name(), err)
				}
			}
		})
	}
}
