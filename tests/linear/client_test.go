package linear_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/protocol"
	"github.com/redlatch/redlatch/internal/proxy"
)

// A history is what the clients of one lock did and saw.
type history struct {
	t       *testing.T
	kind    string
	name    string
	scripts map[verb]*protocol.Script
	began   time.Time

	mu   sync.Mutex
	list []porcupine.Operation
}

// A client is one of those that use a lock. With a proxy it loses some of its replies.
type client struct {
	*history
	*rand.Rand
	id    int
	node  core.Scripter
	proxy *proxy.Proxy
	old   call // an earlier acquire, whose hold may be anybody's by now
}

// faults bounds how many replies a client loses: each multiplies the orders to be tried,
// most of all where two clients lose theirs at once, so they take turns.
const faults = 3

// work makes n calls.
func (c *client) work(n, lost int) {
	var held *call
	for i := range n {
		cut := 0
		if c.proxy != nil && lost > 0 && (i+1+c.id*n/(2*faults+2))%(n/(faults+1)) == 0 {
			cut, lost = 1+c.IntN(3), lost-1
		}
		if held == nil {
			next := c.fresh()
			if a := c.run(next, cut); a.unknown || a.status() == 1 {
				held = &next
			}
		} else {
			next := *held
			next.expiry = c.expiry()
			switch dice := c.IntN(100); {
			case dice < 40:
				next.verb = release
			case dice < 65:
				next.verb = extend
			case dice < 75 && c.kind != "semaphore":
				next.verb = repair
			case dice < 85: // acquires again, as a resent script does
			default:
				next = c.fresh() // lets it lapse
			}
			if next.verb != acquire && c.IntN(8) == 0 && c.old.owner != "" {
				verb := next.verb
				next, next.verb = c.old, verb // a late one, for a hold of long ago
			} else if c.kind == "rw" && c.IntN(16) == 0 {
				next.read, next.proposal = !next.read, 0 // an entry of the other kind is not its own
			}
			a := c.run(next, cut)
			if next.verb == release || next.owner != held.owner || !a.unknown && a.status() != 1 {
				c.old, held = *held, nil
			}
			if next.verb == acquire && (a.unknown || a.status() == 1) {
				held = &next
			}
		}
		time.Sleep(time.Duration(c.IntN(4000)) * time.Microsecond) // lets leases lapse
	}
}

// expiry is short enough to lapse between two calls.
func (c *client) expiry() int64 { return 4 + c.Int64N(25) }

// fresh returns an acquire by a new owner.
func (c *client) fresh() call {
	f := call{kind: c.kind, verb: acquire, owner: fmt.Sprintf("%016x", c.Uint64()), expiry: c.expiry()}
	if c.kind == "semaphore" {
		f.limit = 2 + c.Int64N(8)/7 // seldom another limit
	}
	if c.kind == "rw" {
		f.read = c.IntN(2) > 0 // with more of them, no writer would get in
	}
	if !f.read {
		f.proposal = time.Now().UnixMicro()
		if c.IntN(8) == 0 { // a clock that is an hour off
			f.proposal += (2*c.Int64N(2) - 1) * time.Hour.Microseconds()
		}
	}
	return f
}

// run makes a call and records it. cut says how to lose the reply: 1 after the script has
// run, 2 before, 3 while it runs.
func (c *client) run(in call, cut int) answer {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	var lost sync.WaitGroup
	if cut == 1 {
		c.proxy.DropReply()
	} else if cut > 1 {
		before := c.proxy.Stats().Marked
		if cut == 2 {
			c.proxy.Stall(proxy.Requests)
		}
		lost.Go(func() {
			if err := c.proxy.Await(ctx, func(s proxy.Stats) bool { return s.Marked > before }); err != nil {
				c.t.Errorf("the request that was to be cut: %v", err)
			}
			c.proxy.Cut()
			c.proxy.Resume()
		})
	}
	called := time.Since(c.began)
	reply, err := c.scripts[in.verb].Run(ctx, c.node, names(in, c.name), in.args())
	returned := time.Since(c.began)
	lost.Wait()
	op := porcupine.Operation{ClientId: c.id, Input: in, Call: int64(called), Return: int64(returned)}
	a := answer{took: (returned - called).Microseconds() + 1}
	copy(a.reply[:], reply)
	if err != nil {
		if cut == 0 {
			c.t.Errorf("%v: %v", in, err)
		}
		a, op.Return = answer{unknown: true}, math.MaxInt64
	}
	op.Output = a
	c.mu.Lock()
	c.list = append(c.list, op)
	c.mu.Unlock()
	return a
}

// newHistory returns an empty history of the lock of that name on the server at addr.
func newHistory(t *testing.T, addr, kind, name string, broken breakage) *history {
	t.Helper()
	h := &history{t: t, kind: kind, name: name, scripts: scripts(t, kind, broken), began: time.Now()}
	for _, s := range h.scripts { // no call is sent twice for a script that is not known
		warm := call{kind: kind, verb: release, owner: "warm", limit: 2, expiry: 100}
		if _, err := s.Run(t.Context(), connect(t, addr), names(warm, name+"-warm"), append(warm.args()[:5], "lead", "0")); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// record lets clients use a lock at addr, n calls each. The first of them lose replies
// where that is asked for.
func record(t *testing.T, addr, kind, name string, seed uint64, clients, n int, lossy bool, broken breakage) []porcupine.Operation {
	t.Helper()
	h := newHistory(t, addr, kind, name, broken)
	var all sync.WaitGroup
	for id := range clients {
		c := &client{history: h, Rand: rand.New(rand.NewPCG(seed, uint64(id))), id: id, node: connect(t, addr)}
		if lossy && id < 2 {
			p, err := proxy.Start(addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			p.Mark(name)
			c.node, c.proxy = connect(t, p.Addr()), p
		}
		all.Go(func() { c.work(n, faults) })
	}
	all.Wait()
	return h.list
}

// inTurns records one client that uses a mutex for n holders, one after another, each of
// whom refuses another one and extends. No hold comes near its end, so that each answer
// is the only right one, however slow the machine is.
func inTurns(t *testing.T, addr, name string, n int) []porcupine.Operation {
	t.Helper()
	c := &client{history: newHistory(t, addr, "mutex", name, breakage{}), node: connect(t, addr)}
	for i := range n {
		for _, step := range []struct {
			verb  verb
			owner string
		}{{acquire, "holder"}, {acquire, "other"}, {extend, "holder"}, {release, "holder"}} {
			c.run(call{
				kind: "mutex", verb: step.verb, owner: fmt.Sprintf("%d-%s", i, step.owner),
				expiry: time.Hour.Milliseconds(), proposal: time.Now().UnixMicro(),
			}, 0)
		}
	}
	return c.list
}
