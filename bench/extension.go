package bench

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redlatch/redlatch/core"
)

// redlatch extends in the background, so its extension is timed at its nodes: from the
// first request of a round to the answer that completes a majority. Then the lease's
// deadline must have moved.
type extensionClient struct {
	*redlatchClient
	round *round
}

// cadence is short, so that a step does not take long to come; it is far above the time
// that a round takes.
const cadence = 20 * time.Millisecond

func dialExtension(dial dialNode) func([]string) (Client, error) {
	return func(addrs []string) (Client, error) {
		r := &round{quorum: len(addrs)/2 + 1}
		c, err := openRedlatch(dial, addrs, nil, &core.Options{ExtensionCadence: cadence}, func(s core.Scripter) core.Scripter {
			return &timedNode{s, r}
		})
		if err != nil {
			return nil, err
		}
		return &extensionClient{c, r}, nil
	}
}

func (c *extensionClient) phases(ctx context.Context, name string, before func(step int)) (Phases, error) {
	var p Phases
	m := c.mutex(name)
	before(0)
	began := time.Now()
	lease, err := m.Lock(ctx)
	p.Lock = time.Since(began)
	if err != nil {
		return p, err
	}
	before(1)
	until := lease.ValidUntil()
	select {
	case p.Extend = <-c.round.begin(name):
	case <-lease.Lost():
		return p, context.Cause(lease.Context())
	}
	for limit := time.Now().Add(time.Second); !lease.ValidUntil().After(until); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(limit) {
			return p, errors.New("bench: a majority extended, but the deadline has not moved")
		}
	}
	before(2)
	began = time.Now()
	err = lease.Release(ctx)
	p.Release = time.Since(began)
	return p, err
}

// round is one round of extension on all nodes.
type round struct {
	quorum int

	mu      sync.Mutex
	name    string             // of the lock
	done    chan time.Duration // not nil: a round is awaited or runs
	after   time.Time          // a call before is no extension
	began   time.Time
	answers int
}

// begin awaits the first round of a lock that has just been taken. What is still sent for
// the taking does not count, nor what is to be cleared up of other locks.
func (r *round) begin(name string) <-chan time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.name, r.after = name, time.Now().Add(cadence/2)
	r.done, r.began, r.answers = make(chan time.Duration, 1), time.Time{}, 0
	return r.done
}

// sent notes a call for a lock, and returns the round that it belongs to, if any.
func (r *round) sent(name string) chan time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil || name != r.name || time.Now().Before(r.after) {
		return nil
	}
	if r.began.IsZero() {
		r.began = time.Now()
	}
	return r.done
}

func (r *round) answered(round chan time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if round == nil || round != r.done {
		return
	}
	if r.answers++; r.answers == r.quorum {
		r.done <- time.Since(r.began)
		r.done = nil
	}
}

// timedNode tells the round of the calls on one node.
type timedNode struct {
	core.Scripter
	round *round
}

func (n *timedNode) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	round := n.round.sent(keys[0])
	reply, err := n.Scripter.EvalSha(ctx, sha1, keys, args)
	if err == nil && len(reply) > 0 && reply[0] == 1 {
		n.round.answered(round)
	}
	return reply, err
}
