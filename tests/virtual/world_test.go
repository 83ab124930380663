package virtual_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
	"github.com/redlatch/redlatch/semaphore"
	"github.com/redlatch/redlatch/tests/sim"
	"github.com/redlatch/redlatch/tests/testkit"
)

const (
	expiry  = 30 * time.Second
	cadence = expiry / 3
	near    = 10 * time.Millisecond // more than a few round trips
)

// A world is a calm cluster in a bubble.
type world struct {
	*testing.T
	*sim.Cluster
	stats     *sim.Stats
	clients   int
	providers []*redlatch.Provider
	untidy    bool // something may stay on the nodes for long
}

// in runs a test in a world with that many nodes.
func in(t *testing.T, nodes int, body func(w *world)) {
	t.Helper()
	inCrowd(t, nodes, 12, body)
}

// inCrowd is in, with that many clients. In the end nothing may be left in the bubble, nor
// on the nodes after the longest time that they keep counters.
func inCrowd(t *testing.T, nodes, clients int, body func(w *world)) {
	t.Helper()
	config := sim.Config{Seed: 1, Nodes: nodes, Clients: clients}
	testkit.Bubble(t, config, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		w := &world{T: t, Cluster: c, stats: stats}
		defer func() {
			for _, p := range w.providers {
				_ = p.Close()
			}
			time.Sleep(10 * time.Minute)
			for _, n := range c.Nodes {
				if left := w.keys(n); len(left) != 0 && !w.untidy {
					t.Errorf("node %d still has %q ten minutes later", n.Index, left)
				}
			}
		}()
		body(w)
	})
}

// each runs a test on one node and on three.
func each(t *testing.T, body func(w *world)) {
	t.Helper()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint("nodes ", n), func(t *testing.T) { in(t, n, body) })
	}
}

// keys returns the keys of a node.
func (w *world) keys(n *sim.Node) (keys []string) {
	for _, k := range w.do(n, "KEYS", "*").([]any) {
		keys = append(keys, k.(string))
	}
	slices.Sort(keys)
	return keys
}

// do runs a command on a node, past the library.
func (w *world) do(n *sim.Node, args ...string) any {
	w.Helper()
	reply, err := n.Command(args...)
	if err != nil {
		w.Fatalf("%q: %v", args, err)
	}
	return reply
}

// A client is a process with a provider of its own.
type client struct {
	*sim.Client
	*redlatch.Provider
	w *world
}

// client returns a new client. around, if any, is put before its link to a node.
func (w *world) client(opts core.Options, around ...func(*tap)) *client {
	w.Helper()
	c := w.Clients[w.clients]
	w.clients++
	if opts.Now == nil {
		opts.Now = c.Wall.Now
	}
	nodes := c.Nodes()
	for i := range nodes {
		for _, f := range around {
			t := &tap{Link: c.Link(i), node: w.Nodes[i]}
			f(t)
			nodes[i] = t
		}
	}
	p, err := redlatch.New(&opts, nodes...)
	if err != nil {
		w.Fatal(err)
	}
	w.providers = append(w.providers, p)
	return &client{c, p, w}
}

func (c *client) mutex() *redlock.Mutex { return c.Mutex("m") }

func (c *client) rw() *redlock.RWMutex { return c.RWMutex("m") }

func (c *client) semaphore(limit int) *semaphore.Semaphore {
	s, err := c.Semaphore("m", limit)
	if err != nil {
		c.w.Fatal(err)
	}
	return s
}

// tap stands before a link and may do something around its calls.
type tap struct {
	*sim.Link
	node *sim.Node
	// call answers a call of a verb; pass lets it through.
	call func(verb string, pass func() ([]int64, error)) ([]int64, error)
	// args, if any, is told of each call's arguments beforehand.
	args func(verb string, args []string)
	// edit, if any, changes the scripts that the node runs.
	edit func(source string) string
	// told, if any, is called before each message is delivered.
	told func()
}

// EvalSha makes the library send each script as source, by which Eval knows it.
func (t *tap) EvalSha(context.Context, string, []string, []string) ([]int64, error) {
	return nil, core.ErrNoScript
}

func (t *tap) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	verb := testkit.Verb(source)
	if t.edit != nil {
		source = t.edit(source)
	}
	if t.args != nil {
		t.args(verb, args)
	}
	return t.call(verb, func() ([]int64, error) { return t.Link.Eval(ctx, source, keys, args) })
}

func (t *tap) Subscribe(ctx context.Context, channel string, ready func(), deliver func(string)) error {
	return t.Link.Subscribe(ctx, channel, ready, func(payload string) {
		if t.told != nil {
			t.told()
		}
		deliver(payload)
	})
}

// taking is what takes a lock.
type taking = func(context.Context) (*core.Lease, error)

// take takes what must be free.
func (w *world) take(lock taking) *core.Lease {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	lease, err := lock(ctx)
	if err != nil {
		w.Fatalf("not free: %v", err)
	}
	time.Sleep(near)
	return lease
}

// refused fails the test unless others have the lock.
func (w *world) refused(lock taking, why string) {
	w.Helper()
	lease, err := lock(w.Context())
	if !errors.Is(err, core.ErrNotAcquired) {
		w.Errorf("got %v, %v, want %v: %s", lease, err, core.ErrNotAcquired, why)
	}
	time.Sleep(near)
}

// free releases a lease that must not have been lost.
func (w *world) free(leases ...*core.Lease) {
	w.Helper()
	for _, l := range leases {
		if err := l.Release(w.Context()); err != nil {
			w.Errorf("Release: %v", err)
		}
	}
	time.Sleep(near)
}

// held fails the test if the lease has ended.
func (w *world) held(l *core.Lease, why string) {
	w.Helper()
	if ctx := l.Context(); ctx.Err() != nil {
		w.Errorf("the lease has ended, %v: %s", context.Cause(ctx), why)
	}
}

// lost fails the test unless the lease has been lost.
func (w *world) lost(l *core.Lease, why string) {
	w.Helper()
	if cause := context.Cause(l.Context()); !errors.Is(cause, core.ErrLost) {
		w.Errorf("the cause is %v, want %v: %s", cause, core.ErrLost, why)
	}
}

// A waiter waits for a lock in a goroutine of its own.
type waiter struct {
	w     *world
	mu    sync.Mutex
	lease *core.Lease
	at    time.Time
	leave context.CancelFunc
}

// wait starts a waiter and returns when it stands in line.
func (w *world) wait(lock taking) *waiter {
	ctx, cancel := context.WithCancel(context.Background())
	wt := &waiter{w: w, leave: cancel}
	go func() {
		lease, err := lock(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, core.ErrClosed) {
			w.Errorf("a waiter got %v", err)
		}
		wt.mu.Lock()
		defer wt.mu.Unlock()
		wt.lease, wt.at = lease, time.Now()
	}()
	w.Cleanup(cancel)
	time.Sleep(near)
	return wt
}

// in returns the waiter's lease, nil while it waits.
func (wt *waiter) in() *core.Lease {
	wt.mu.Lock()
	defer wt.mu.Unlock()
	return wt.lease
}

// within returns the waiter's lease, which must be there before d is over.
func (wt *waiter) within(d time.Duration, why string) *core.Lease {
	wt.w.Helper()
	for end := time.Now().Add(d); wt.in() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			wt.w.Fatalf("still waiting after %v: %s", d, why)
		}
	}
	return wt.in()
}

// patient waits for hours between two polls: who comes before was called.
var patient = core.Options{MinBusyWait: 2 * time.Hour, MaxBusyWait: 2 * time.Hour}
