package waiting_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/sim"
	"github.com/redlatch/redlatch/internal/keys"
)

const (
	name = "l"
	// deadline is what a waiter that is called has to come, on a fast network with a
	// live subscription.
	deadline = 100 * time.Millisecond
	maxPoll  = 800 * time.Millisecond // Options.MaxBusyWait
	// trip is the longest round trip of the simulated network.
	trip = 2 * time.Millisecond
)

// A kind is how a lock is held, who stands in line for it, and who comes after those.
type kind struct {
	name              string
	key               string // of its siblings
	nodes             []int
	hold, head, after func(*redlatch.Provider) (core.Locker, error)
	permits           int  // that client 0 holds, all there are
	together          bool // several heads fit, and are called at once
}

func mutex(p *redlatch.Provider) (core.Locker, error)  { return p.Mutex(name) }
func writer(p *redlatch.Provider) (core.Locker, error) { return p.RWMutex(name) }

func reader(p *redlatch.Provider) (core.Locker, error) {
	rw, err := p.RWMutex(name)
	if err != nil {
		return nil, err
	}
	return rw.RLocker(), nil
}

const permits = 3

func permit(p *redlatch.Provider) (core.Locker, error) {
	s, err := p.Semaphore(name, permits)
	if err != nil {
		return nil, err
	}
	return s.Locker(), nil
}

var kinds = []kind{
	{name: "mutex", key: "mutex", nodes: []int{1, 3}, hold: mutex, head: mutex, after: mutex, permits: 1},
	{name: "writer", key: "rw", nodes: []int{1, 3}, hold: reader, head: writer, after: writer, permits: 1},
	// A reader would go in beside those that are dead.
	{name: "reader", key: "rw", nodes: []int{1, 3}, hold: writer, head: reader, after: writer, permits: 1, together: true},
	{name: "semaphore", key: "semaphore", nodes: []int{1}, hold: permit, head: permit, after: permit, permits: permits},
}

// each runs a test for each kind of lock and number of nodes.
func each(t *testing.T, heads, after int, body func(t *testing.T, l *line)) {
	for _, k := range kinds {
		for _, nodes := range k.nodes {
			t.Run(fmt.Sprintf("%s, nodes %d", k.name, nodes), func(t *testing.T) { inLine(t, k, nodes, heads, after, body) })
		}
	}
}

// line is a simulated cluster on which one client holds a lock and the others wait.
type line struct {
	*sim.Cluster
	kind
	t       *testing.T
	stats   *sim.Stats
	lockers []core.Locker
	held    []*core.Lease
	cancel  []context.CancelFunc
	calls   []chan result

	mu    sync.Mutex
	asked [][]time.Time // when the i-th client has sent scripts
	woken []func()      // what to do in the instant in which the i-th client is called
}

type result struct {
	lease *core.Lease
	err   error
	at    time.Time
}

// inLine runs body with so many heads in line, in the order of their numbers from 1 on,
// and the others after them, while client 0 holds.
func inLine(t *testing.T, k kind, nodes, heads, after int, body func(t *testing.T, l *line)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := heads + after
		stats := &sim.Stats{}
		c, err := sim.New(sim.Config{Seed: 21, Nodes: nodes, Clients: n + 1}, stats)
		if err != nil {
			t.Fatal(err)
		}
		l := &line{Cluster: c, kind: k, t: t, stats: stats, woken: make([]func(), n+1), asked: make([][]time.Time, n+1)}
		var providers []*redlatch.Provider
		for i, client := range c.Clients {
			var ns []core.Scripter
			for j := range client.Nodes() {
				ns = append(ns, &tapped{client.Link(j), l, i})
			}
			p, err := redlatch.New(ns, nil)
			if err != nil {
				t.Fatal(err)
			}
			lock := k.after
			switch {
			case i == 0:
				lock = k.hold
			case i <= heads:
				lock = k.head
			}
			locker, err := lock(p)
			if err != nil {
				t.Fatal(err)
			}
			providers = append(providers, p)
			l.lockers = append(l.lockers, locker)
		}
		for range k.permits {
			held, err := l.lockers[0].Lock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.held = append(l.held, held)
		}
		l.cancel, l.calls = make([]context.CancelFunc, n+1), make([]chan result, n+1)
		for i := 1; i <= n; i++ {
			ctx, cancel := context.WithCancel(t.Context())
			l.cancel[i], l.calls[i] = cancel, make(chan result, 1)
			go func() {
				lease, err := l.lockers[i].Lock(ctx)
				l.calls[i] <- result{lease, err, time.Now()}
			}()
			time.Sleep(50 * time.Millisecond)
		}
		if got := len(l.tickets()); got != n {
			t.Fatalf("got %d tickets in line, want %d", got, n)
		}
		body(t, l)
		for i, cancel := range l.cancel[1:] {
			cancel()
			l.Clients[i+1].Resume()
		}
		for _, p := range providers {
			_ = p.Close() // those of dead clients cannot
		}
		time.Sleep(2 * time.Minute) // calls of dead clients end by their read timeout
		c.Close()
	})
}

// A ticket is what the lead knows of a waiter.
type ticket struct {
	id     string
	called bool
}

// tickets returns those in line, the head first.
func (l *line) tickets() (line []ticket) {
	l.t.Helper()
	do := func(args ...string) any {
		reply, err := l.Nodes[0].Command(args...)
		if err != nil {
			l.t.Fatal(err)
		}
		return reply
	}
	queue, known := keys.Siblings(name, l.key+":queue")[0], keys.Siblings(name, l.key+":tickets")[0]
	ids, _ := do("ZRANGE", queue, "0", "-1").([]any)
	for _, id := range ids {
		info, _ := do("HGET", known, id.(string)).(string)
		fields := strings.Fields(info)
		line = append(line, ticket{id.(string), len(fields) > 1 && fields[1] != "0"})
	}
	return line
}

func (l *line) ask(i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[i] = append(l.asked[i], time.Now())
}

// since returns when client i has sent scripts from that time on.
func (l *line) since(at time.Time, i int) []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, _ := slices.BinarySearchFunc(l.asked[i], at, time.Time.Compare)
	return slices.Clone(l.asked[i][from:])
}

func (l *line) called(i int) {
	l.mu.Lock()
	f := l.woken[i]
	l.mu.Unlock()
	if f != nil {
		f()
	}
}

// release lets the holder go, one permit of it.
func (l *line) release() (at time.Time) {
	l.t.Helper()
	at = time.Now()
	if err := l.held[0].Release(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	return at
}

// granted waits until client i holds and returns when that was.
func (l *line) granted(i int) time.Time {
	l.t.Helper()
	select {
	case r := <-l.calls[i]:
		if r.err != nil {
			l.t.Error(r.err)
		}
		return r.at
	case <-time.After(time.Minute):
		l.t.Errorf("client %d still waits after a minute", i)
		return time.Now()
	}
}

// tapped tells of each script of a client, and of each message before it is delivered.
type tapped struct {
	*sim.Link
	line   *line
	client int
}

func (s *tapped) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	s.line.ask(s.client)
	return s.Link.EvalSha(ctx, sha1, keys, args)
}

func (s *tapped) Subscribe(ctx context.Context, channel string, ready func(), deliver func(string)) error {
	return s.Link.Subscribe(ctx, channel, ready, func(payload string) {
		s.line.called(s.client)
		deliver(payload)
	})
}

// headGone lets go of the lock when something has happened to the head, and returns when
// the next one holds: within the claim deadline and one poll.
func headGone(t *testing.T, l *line) {
	t.Helper()
	head := l.tickets()[0]
	if head.called {
		t.Fatal("the head was called while the lock was held")
	}
	began := l.release()
	time.Sleep(trip) // it returns when a majority has it
	if now := l.tickets()[0]; now != (ticket{head.id, true}) {
		t.Errorf("after the release the first in line is %+v, want %s, called", now, head.id)
	}
	took := l.granted(2).Sub(began)
	t.Logf("the next one held after %v", took)
	if took < deadline {
		t.Errorf("the next one held after %v, before the head's %v were over", took, deadline)
	}
	if took > deadline+maxPoll {
		t.Errorf("the next one held after %v, want %v at most", took, deadline+maxPoll)
	}
}

func TestHeadKilled(t *testing.T) {
	each(t, 1, 1, func(t *testing.T, l *line) {
		l.Clients[1].Kill()
		headGone(t, l)
	})
}

func TestHeadHung(t *testing.T) {
	each(t, 1, 1, func(t *testing.T, l *line) {
		l.Clients[1].Pause(true)
		headGone(t, l)
		l.Clients[1].Resume()
		time.Sleep(2 * time.Second)
		select {
		case r := <-l.calls[1]:
			t.Errorf("the one that hung got %v, %v beside the next one's lease", r.lease, r.err)
		default:
		}
	})
}

// A waiter whose context ends in the instant in which it is called passes the call on.
func TestPeer28HeadCancelledWhenCalled(t *testing.T) {
	const leaving = 50
	each(t, leaving, 1, func(t *testing.T, l *line) {
		var called atomic.Int64
		for i := 1; i <= leaving; i++ {
			l.woken[i] = func() {
				called.Add(1)
				l.cancel[i]()
			}
		}
		began := l.release()
		took := l.granted(leaving + 1).Sub(began)
		t.Logf("after %d that left when called, the next one held after %v", called.Load(), took)
		// Each costs the message to it and its own: nobody waits for a deadline or a poll.
		// The last one asks, on three nodes twice.
		if most := (leaving + 3) * trip; took > most {
			t.Errorf("the next one held after %v, want %v at most", took, most)
		}
		for i := 1; i <= leaving; i++ {
			if r := <-l.calls[i]; !errors.Is(r.err, core.ErrNotAcquired) || !errors.Is(r.err, context.Canceled) {
				t.Errorf("client %d: got %v, want %v and %v", i, r.err, core.ErrNotAcquired, context.Canceled)
			}
		}
		if got := called.Load(); got != leaving {
			t.Errorf("%d were cancelled when called, want all %d", got, leaving)
		}
	})
}

// From the first poll of a live waiter on, dead heads in a row cost a claim deadline and
// a round trip each, whether they were killed or hang, and only one waiter looks after
// them. The first poll is that of a place far back.
func TestPeer18FiftyDeadHeads(t *testing.T) {
	const dead, live = 50, 20
	each(t, dead, live, func(t *testing.T, l *line) {
		for i := 1; i <= dead; i++ {
			if i%2 == 0 {
				l.Clients[i].Pause(true)
			} else {
				l.Clients[i].Kill()
			}
		}
		time.Sleep(time.Second)
		published := l.stats.Published.Load()
		began := l.release()
		held := l.granted(dead + 1)
		called := l.stats.Published.Load() - published

		first := held
		var asked []int
		for i := dead + 1; i <= dead+live; i++ {
			at := l.since(began, i)
			if len(at) > 0 && at[0].Before(first) {
				first = at[0]
			}
			asked = append(asked, len(at))
		}
		slices.Sort(asked)
		watching, second, others := asked[live-1], asked[live-2], 0
		for _, n := range asked[:live-1] {
			others += n
		}
		t.Logf("the next one held %v after the release, %v after the first poll; one sent %d scripts, the others %d, at most %d each", held.Sub(began), held.Sub(first), watching, others, second)
		if called < dead {
			t.Errorf("got %d heads called, want all %d", called, dead)
		}
		if took := first.Sub(began); took > 8*maxPoll {
			t.Errorf("the first poll came after %v, want %v at most", took, 8*maxPoll)
		}
		if l.together { // one deadline, which may be over before anybody polls
			if took := held.Sub(first); took > deadline+4*trip {
				t.Errorf("the next one held %v after the first poll, want %v at most", took, deadline+4*trip)
			}
			return
		}
		// A sleep is a millisecond longer than what is left of the deadline. The last step
		// is the grant.
		each := deadline + time.Millisecond + trip
		if took := held.Sub(first); took > dead*each+4*trip {
			t.Errorf("the next one held %v after the first poll, want %v at most", took, dead*each+4*trip)
		}
		// The one that looks after the dead asks once for each, and a few times as any
		// other does: those at the front, when the dead before them are gone, most often.
		if watching < dead-1 || watching > dead+live {
			t.Errorf("the one that looks after the dead sent %d scripts, want about %d", watching, dead)
		}
		if second > dead/3 || others > 4*live {
			t.Errorf("the others sent %d scripts, at most %d each, want %d and %d at most", others, second, 4*live, dead/3)
		}
	})
}
