package quorum

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
	"github.com/redlatch/redlatch/internal/script"
)

// maxAbandoned is how many calls that their callers have left may be under way on one
// node.
const maxAbandoned = 64

// errBusy says that a call was not sent.
var errBusy = fmt.Errorf("%d calls are still without an answer, the node is not asked", maxAbandoned)

// node is one Scripter and what has been learnt about it.
type node struct {
	set      *Set
	index    int
	scripter core.Scripter

	failing  atomic.Bool  // the last answer was none
	retrying atomic.Bool  // a release that has failed is being sent again, the others wait
	verified atomic.Bool  // it is not another one of the set
	offset   atomic.Int64 // us: the server's TIME less Set.elapsed; 0: not learnt
	rtt      atomic.Int64 // ns, smoothed

	mu      sync.Mutex
	calls   []underway
	free    []int   // the free places in calls
	probing int     // the place of the one call that is under way although too many are abandoned; -1: none
	probe   *probe  // the verification under way
	since   instant // when it was last verified

	listener listener
}

// underway is a call that is; the zero value is a free place.
type underway struct {
	sent, end time.Time // end: when the caller leaves at the latest
	left      *atomic.Bool
}

// patience is how long a node may take to answer before a call that nobody waits for
// counts as abandoned: of a node that is only slower than the others, many are under way.
func (n *node) patience() time.Duration { return 100*time.Millisecond + 4*time.Duration(n.rtt.Load()) }

// run sends a script to the node and waits for the client, however long that takes;
// nobody who may not wait calls it but in a goroutine of its own. ctx must have a
// deadline, the time at which the caller leaves.
func (n *node) run(ctx *callContext, s *script.Script, keys, args []string) ([]int64, error) {
	sent := time.Now()
	place, err := n.enter(ctx, sent)
	if err != nil {
		return nil, err
	}
	reply, err := n.eval(ctx, s, keys, args)
	n.leave(place)
	if err == nil && len(reply) < 2 {
		err = fmt.Errorf("the script's reply is %v, at least a status and a time wanted", reply)
	}
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			// The deadline is ours, or the client's own, which some report in this way, too:
			// it must not look like the user's.
			if ctx.Err() != nil {
				err = n.set.errNoAnswer
			} else {
				err = errors.New("the client gave up: " + err.Error())
			}
		}
		n.failing.Store(transient(err))
		return nil, err
	}
	n.learn(sent, reply[1])
	return reply, nil
}

// eval makes of a panic an error of the node, as if it had not answered: the goroutine
// is ours, so the user could not recover it. Clients do panic, such as on a pool that
// is closed under a call that its caller has given up.
func (n *node) eval(ctx context.Context, s *script.Script, keys, args []string) (reply []int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Scripter panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return s.Run(ctx, n.scripter, keys, args)
}

// enter counts a call in, unless too many have been abandoned.
func (n *node) enter(ctx *callContext, now time.Time) (place int, err error) {
	deadline, _ := ctx.Deadline()
	n.mu.Lock()
	defer n.mu.Unlock()
	full := len(n.calls)-len(n.free) >= maxAbandoned && n.abandoned(now) >= maxAbandoned
	if full && n.probing >= 0 {
		return 0, errBusy
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
	n.set.begun()
	return place, nil
}

// leave counts a call out.
func (n *node) leave(place int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[place] = underway{}
	n.free = append(n.free, place)
	if n.probing == place {
		n.probing = -1
	}
	n.set.ended()
}

// abandoned counts the calls whose callers have left.
func (n *node) abandoned(now time.Time) (count int) {
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
func (n *node) learn(sent time.Time, serverTime int64) {
	n.failing.Store(false)
	rtt := time.Since(sent)
	old := n.rtt.Load()
	if old == 0 {
		old = int64(rtt)
	}
	n.rtt.Store(old + (int64(rtt)-old)/8)
	if serverTime == 0 { // the script did without
		return
	}
	middle := n.set.elapsed(sent.Add(rtt / 2))
	n.offset.Store(serverTime - middle.Microseconds())
}

// transient reports whether a node's error may pass by itself: the node could not be
// reached, or it said that it cannot serve at the moment.
func transient(err error) bool {
	if errors.Is(err, core.ErrInvalid) {
		return false
	}
	switch replyCode(err) {
	case "", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "TRYAGAIN", "GUARDED":
		return true
	}
	return false
}

// replyCode returns the first word of a server's error reply, which the Scripter
// contract keeps in the chain, or "" if there is none in it.
func replyCode(err error) string {
	if err == nil {
		return ""
	}
	word, rest, _ := strings.Cut(err.Error(), " ")
	if len(word) > 1 && rest != "" && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		return word
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return replyCode(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if code := replyCode(err); code != "" {
				return code
			}
		}
	}
	return ""
}
