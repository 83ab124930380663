package virtual_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
)

const (
	// deadline is what a waiter that is called has to come, on a fast network with a
	// live subscription.
	deadline = 100 * time.Millisecond
	maxPoll  = 800 * time.Millisecond // Options.MaxBusyWait
	// trip is the longest round trip of the simulated network.
	trip = 2 * time.Millisecond
)

// A queue is how a lock is held, who stands in line for it, and who comes after those.
type queue struct {
	name              string
	key               string // of its siblings
	nodes             []int
	hold, head, after func(*client) core.Locker
	permits           int  // that client 0 holds, all there are
	together          bool // several heads fit, and are called at once
}

const permits = 3

func ofThree(c *client) core.Locker { return c.semaphore(permits).Locker() }

var queues = []queue{
	{name: "mutex", key: "mutex", nodes: []int{1, 3}, hold: mutex, head: mutex, after: mutex, permits: 1},
	{name: "writer", key: "rw", nodes: []int{1, 3}, hold: reader, head: writer, after: writer, permits: 1},
	// A reader would go in beside those that are dead.
	{name: "reader", key: "rw", nodes: []int{1, 3}, hold: writer, head: reader, after: writer, permits: 1, together: true},
	{name: "semaphore", key: "semaphore", nodes: []int{1}, hold: ofThree, head: ofThree, after: ofThree, permits: permits},
}

// eachLine runs a test for each kind of lock and number of nodes.
func eachLine(t *testing.T, heads, after int, body func(l *line)) {
	for _, q := range queues {
		for _, nodes := range q.nodes {
			t.Run(fmt.Sprintf("%s, nodes %d", q.name, nodes), func(t *testing.T) { inLine(t, q, nodes, heads, after, body) })
		}
	}
}

// A line is a world in which one client holds a lock and the others wait.
type line struct {
	*world
	queue
	held   []*core.Lease
	cancel []context.CancelFunc
	calls  []chan result

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
func inLine(t *testing.T, q queue, nodes, heads, after int, body func(l *line)) {
	t.Helper()
	n := heads + after
	inCrowd(t, nodes, n+1, func(w *world) {
		l := &line{
			world: w, queue: q, woken: make([]func(), n+1), asked: make([][]time.Time, n+1),
			cancel: make([]context.CancelFunc, n+1), calls: make([]chan result, n+1),
		}
		holder := q.hold(l.tapped(0))
		for range q.permits {
			l.held = append(l.held, w.take(holder.Lock))
		}
		for i := 1; i <= n; i++ {
			lock := q.after
			if i <= heads {
				lock = q.head
			}
			locker := lock(l.tapped(i))
			ctx, cancel := context.WithCancel(w.Context())
			l.cancel[i], l.calls[i] = cancel, make(chan result, 1)
			go func() {
				lease, err := locker.Lock(ctx)
				l.calls[i] <- result{lease, err, time.Now()}
			}()
			time.Sleep(50 * time.Millisecond)
		}
		if got := len(l.tickets()); got != n {
			l.Fatalf("got %d tickets in line, want %d", got, n)
		}
		body(l)
		for i, cancel := range l.cancel[1:] {
			cancel()
			l.Clients[i+1].Resume()
		}
	})
}

// A ticket is what the lead knows of a waiter.
type ticket struct {
	id     string
	called bool
}

// tickets returns those in line, the head first.
func (l *line) tickets() (line []ticket) {
	l.Helper()
	queue, known := keys.Siblings("m", l.key+":queue")[0], keys.Siblings("m", l.key+":tickets")[0]
	for _, id := range l.do(l.Nodes[0], "ZRANGE", queue, "0", "-1").([]any) {
		info, _ := l.do(l.Nodes[0], "HGET", known, id.(string)).(string)
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
	l.Helper()
	at = time.Now()
	if err := l.held[0].Release(l.Context()); err != nil {
		l.Fatal(err)
	}
	return at
}

// granted waits until client i holds and returns when that was.
func (l *line) granted(i int) time.Time {
	l.Helper()
	select {
	case r := <-l.calls[i]:
		if r.err != nil {
			l.Error(r.err)
		}
		return r.at
	case <-time.After(time.Minute):
		l.Errorf("client %d still waits after a minute", i)
		return time.Now()
	}
}

// tapped returns the i-th client. The line is told of each script that it sends, and of each
// message before it is delivered.
func (l *line) tapped(i int) *client {
	return l.client(core.Options{}, func(tp *tap) {
		tp.args = func(string, []string) { l.ask(i) }
		tp.call = func(_ string, pass func() ([]int64, error)) ([]int64, error) { return pass() }
		tp.told = func() { l.called(i) }
	})
}

// headGone lets go of the lock when something has happened to the head, and returns when
// the next one holds: within the claim deadline and one poll.
func headGone(l *line) {
	l.Helper()
	head := l.tickets()[0]
	if head.called {
		l.Fatal("the head was called while the lock was held")
	}
	began := l.release()
	time.Sleep(trip) // it returns when a majority has it
	if now := l.tickets()[0]; now != (ticket{head.id, true}) {
		l.Errorf("after the release the first in line is %+v, want %s, called", now, head.id)
	}
	took := l.granted(2).Sub(began)
	l.Logf("the next one held after %v", took)
	if took < deadline {
		l.Errorf("the next one held after %v, before the head's %v were over", took, deadline)
	}
	if took > deadline+maxPoll {
		l.Errorf("the next one held after %v, want %v at most", took, deadline+maxPoll)
	}
}

func TestHeadKilled(t *testing.T) {
	eachLine(t, 1, 1, func(l *line) {
		l.Clients[1].Kill()
		headGone(l)
	})
}

func TestHeadHung(t *testing.T) {
	eachLine(t, 1, 1, func(l *line) {
		l.Clients[1].Pause(true)
		headGone(l)
		l.Clients[1].Resume()
		time.Sleep(2 * time.Second)
		select {
		case r := <-l.calls[1]:
			l.Errorf("the one that hung got %v, %v beside the next one's lease", r.lease, r.err)
		default:
		}
	})
}

// A waiter whose context ends in the instant in which it is called passes the call on.
func TestPeer28HeadCancelledWhenCalled(t *testing.T) {
	const leaving = 50
	eachLine(t, leaving, 1, func(l *line) {
		var called atomic.Int64
		for i := 1; i <= leaving; i++ {
			l.woken[i] = func() {
				called.Add(1)
				l.cancel[i]()
			}
		}
		began := l.release()
		took := l.granted(leaving + 1).Sub(began)
		l.Logf("after %d that left when called, the next one held after %v", called.Load(), took)
		// Each costs the message to it and its own: nobody waits for a deadline or a poll.
		// The last one asks, on three nodes twice.
		if most := (leaving + 3) * trip; took > most {
			l.Errorf("the next one held after %v, want %v at most", took, most)
		}
		for i := 1; i <= leaving; i++ {
			if r := <-l.calls[i]; !errors.Is(r.err, core.ErrNotAcquired) || !errors.Is(r.err, context.Canceled) {
				l.Errorf("client %d: got %v, want %v and %v", i, r.err, core.ErrNotAcquired, context.Canceled)
			}
		}
		if got := called.Load(); got != leaving {
			l.Errorf("%d were cancelled when called, want all %d", got, leaving)
		}
	})
}

// From the first poll of a live waiter on, dead heads in a row cost a claim deadline and
// a round trip each, whether they were killed or hang, and only one waiter looks after
// them. The first poll is that of a place far back.
func TestPeer18FiftyDeadHeads(t *testing.T) {
	const dead, live = 50, 20
	eachLine(t, dead, live, func(l *line) {
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
		l.Logf("the next one held %v after the release, %v after the first poll; one sent %d scripts, the others %d, at most %d each", held.Sub(began), held.Sub(first), watching, others, second)
		if called < dead {
			l.Errorf("got %d heads called, want all %d", called, dead)
		}
		if took := first.Sub(began); took > 8*maxPoll {
			l.Errorf("the first poll came after %v, want %v at most", took, 8*maxPoll)
		}
		if l.together { // one deadline, which may be over before anybody polls
			if took := held.Sub(first); took > deadline+4*trip {
				l.Errorf("the next one held %v after the first poll, want %v at most", took, deadline+4*trip)
			}
			return
		}
		// A sleep is a millisecond longer than what is left of the deadline. The last step
		// is the grant.
		each := deadline + time.Millisecond + trip
		if took := held.Sub(first); took > dead*each+4*trip {
			l.Errorf("the next one held %v after the first poll, want %v at most", took, dead*each+4*trip)
		}
		// The one that looks after the dead asks once for each, and a few times as any
		// other does: those at the front, when the dead before them are gone, most often.
		if watching < dead-1 || watching > dead+live {
			l.Errorf("the one that looks after the dead sent %d scripts, want about %d", watching, dead)
		}
		if second > dead/3 || others > 4*live {
			l.Errorf("the others sent %d scripts, at most %d each, want %d and %d at most", others, second, 4*live, dead/3)
		}
	})
}
