package cluster

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/failure"
	"github.com/redlatch/redlatch/internal/protocol"
)

// maxAbandoned is how many calls that their callers have left may be under way on one
// node.
const maxAbandoned = 64

// ErrBusy says that a call was not sent.
var ErrBusy = fmt.Errorf("%d calls are still without an answer, the node is not asked", maxAbandoned)

// Node is one Scripter and what has been learnt about it.
type Node struct {
	Set      *Set
	index    int
	scripter core.Scripter

	Failing  atomic.Bool  // the last answer was none
	Retrying atomic.Bool  // a release that has failed is being sent again, the others wait
	verified atomic.Bool  // it is not another one of the set
	offset   atomic.Int64 // us: the server's TIME less Set.elapsed; 0: not learnt
	rtt      atomic.Int64 // ns, smoothed
	heard    atomic.Int64 // ns, by Set.elapsed: when it last answered
	hurried  time.Time    // belongs to Set.mu: when its retries were, because it answered again

	mu      sync.Mutex
	calls   []underway
	free    []int                 // the free places in calls
	full    bool                  // too many calls are abandoned, as last counted
	counted time.Time             // when that was; zero: to be counted anew
	probing int                   // the place of the one call that is under way although too many are abandoned; -1: none
	word    atomic.Pointer[error] // the last failure of the way to it, since the last answer
	probe   *probe                // the verification under way
	since   Instant               // when it was last verified
	backlog backlog

	Listener listener
	Remains  remains
}

// underway is a call that is; the zero value is a free place.
type underway struct {
	sent, end time.Time // end: when the caller leaves at the latest
	left      *atomic.Bool
}

// Failed returns err as the failure of this node.
func (n *Node) Failed(err error) *core.NodeError {
	addr := ""
	if a, ok := n.scripter.(core.Addresser); ok {
		addr = a.Addr()
	}
	return &core.NodeError{Node: n.index, Addr: addr, Err: err}
}

// Invalid returns what is wrong with a node as core.ErrInvalid, which may be in it already.
func Invalid(e *core.NodeError) error {
	e.Err = failure.Say(strings.TrimPrefix(e.Err.Error(), core.ErrInvalid.Error()+": "), e.Err)
	return failure.Errorf("%w: %w", core.ErrInvalid, e)
}

// Silence returns the failure of a node that does not answer: err, and what the client
// said last, if it has not reached the node since.
func (n *Node) Silence(err error) error {
	if word := n.word.Load(); word != nil {
		return failure.Say(err.Error()+": "+(*word).Error(), err)
	}
	return err
}

// Unheard returns the failure of a node that was not waited for.
func (n *Node) Unheard() error { return n.Silence(errors.New("no answer so far")) }

// RoundTrip returns how long an answer takes, smoothed.
func (n *Node) RoundTrip() time.Duration { return time.Duration(n.rtt.Load()) }

// AnsweredSince reports whether the node has answered anything since then.
func (n *Node) AnsweredSince(t time.Time) bool {
	return time.Duration(n.heard.Load()) > n.Set.elapsed(t)
}

// patience is how long a node may take to answer before a call that nobody waits for
// counts as abandoned: of a node that is only slower than the others, many are under way.
func (n *Node) patience() time.Duration { return 100*time.Millisecond + 4*n.RoundTrip() }

// Run sends a script to the node and waits for the client, however long that takes;
// nobody who may not wait calls it but in a goroutine of its own. ctx must have a
// deadline, the time at which the caller leaves.
func (n *Node) Run(ctx *CallContext, s *protocol.Script, keys, args []string) (protocol.Reply, error) {
	sent := time.Now()
	place, err := n.enter(ctx, sent)
	if err != nil {
		return nil, err
	}
	numbers, err := n.eval(ctx, s, keys, args)
	n.leave(place)
	var reply protocol.Reply
	if err == nil {
		reply, err = protocol.Read(numbers)
	}
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			// The deadline is ours, or the client's own, which some report in this way, too:
			// it must not look like the user's.
			if ctx.Err() != nil {
				err = n.Silence(n.Set.ErrNoAnswer)
			} else {
				err = errors.New("the client gave up: " + err.Error())
			}
		} else if failure.Reply(err) == "" {
			n.word.Store(&err)
		}
		n.Failing.Store(!errors.Is(err, core.ErrInvalid) && failure.Of(err) != failure.Mistake)
		return nil, err
	}
	n.learn(sent, reply.Time())
	return reply, nil
}

// eval makes of a panic an error of the node, as if it had not answered: the goroutine
// is ours, so the user could not recover it. Clients do panic, such as on a pool that
// is closed under a call that its caller has given up.
func (n *Node) eval(ctx context.Context, s *protocol.Script, keys, args []string) (reply []int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Scripter panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return s.Run(ctx, n.scripter, keys, args)
}

// enter counts a call in, unless too many have been abandoned.
func (n *Node) enter(ctx *CallContext, now time.Time) (place int, err error) {
	deadline, _ := ctx.Deadline()
	n.mu.Lock()
	defer n.mu.Unlock()
	full := n.tooMany(now)
	if full && n.probing >= 0 {
		return 0, ErrBusy
	}
	if last := len(n.free) - 1; last >= 0 {
		place, n.free = n.free[last], n.free[:last]
	} else {
		place, n.calls = len(n.calls), append(n.calls, underway{})
	}
	n.calls[place] = underway{now, deadline, ctx.left}
	if full {
		n.probing = place
	}
	n.Set.Begun()
	return place, nil
}

// leave counts a call out.
func (n *Node) leave(place int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[place] = underway{}
	n.free = append(n.free, place)
	if n.probing == place {
		n.probing = -1
	}
	if n.full {
		n.counted = time.Time{}
	}
	n.Set.Ended()
}

// tooMany reports whether too many calls are abandoned. They are counted once in a
// millisecond at most, so that what a call costs does not grow with the calls under way.
func (n *Node) tooMany(now time.Time) bool {
	if len(n.calls)-len(n.free) < maxAbandoned {
		return false
	}
	if n.counted.IsZero() || now.Sub(n.counted) >= time.Millisecond {
		n.full, n.counted = n.abandoned(now) >= maxAbandoned, now
	}
	return n.full
}

// abandoned counts the calls whose callers have left.
func (n *Node) abandoned(now time.Time) (count int) {
	patience := n.patience()
	for i := range n.calls {
		switch c := &n.calls[i]; {
		case c.sent.IsZero():
		case !now.Before(c.end), c.left != nil && c.left.Load() && now.Sub(c.sent) >= patience:
			count++
		}
	}
	return count
}

// learn takes from an answer how long the way is and what the server's clock says.
func (n *Node) learn(sent time.Time, serverTime int64) {
	if n.Failing.Load() && n.Failing.CompareAndSwap(true, false) {
		n.hurry()
	}
	if n.word.Load() != nil {
		n.word.Store(nil)
	}
	rtt := time.Since(sent)
	n.heard.Store(int64(n.Set.elapsed(sent) + rtt))
	old := n.rtt.Load()
	if old == 0 {
		old = int64(rtt)
	}
	n.rtt.Store(old + (int64(rtt)-old)/8)
	if serverTime == 0 { // the script did without
		return
	}
	middle := n.Set.elapsed(sent.Add(rtt / 2))
	n.offset.Store(serverTime - middle.Microseconds())
}

// Rideable reports whether a call that has waited rides out a node's error: it passes, or
// somebody may mend it meanwhile.
func Rideable(err error) bool {
	return !errors.Is(err, core.ErrInvalid) && !errors.Is(err, core.ErrClosed) && failure.Of(err) != failure.Mistake
}
