package cluster

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/protocol"
)

// A server given twice would count twice and make a minority look like a majority. So
// the nodes of a set write their index under one random key, each on its own server;
// two that share a server meet there. A node not yet verified does not count.

//go:embed probe.lua
var probeSource string

var probeScript = protocol.New(probeSource)

// probeLife is how long a mark stays; a little less is how long it is relied on.
const probeLife = 60 * time.Second

// probe is one verification under way, shared by the calls that wait for it.
type probe struct {
	done chan struct{}
	err  error
}

// RunVerified is [Node.Run] for an answer that counts together with others': where the node is not
// verified, the answer is a failure.
func (n *Node) RunVerified(ctx *CallContext, s *protocol.Script, keys, args []string) (protocol.Reply, error) {
	p := n.verify(ctx)
	reply, err := n.Run(ctx, s, keys, args)
	if p != nil && err == nil {
		err = n.verdict(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// IsVerified reports whether the node is known to be no other one of the set.
func (n *Node) IsVerified() bool { return n.verified.Load() }

// verify starts the verification of the node, or joins the one under way; nil: it is
// verified.
func (n *Node) verify(ctx *CallContext) *probe {
	if n.verified.Load() {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.probe == nil {
		n.probe = &probe{done: make(chan struct{})}
		go n.runProbe(ctx, n.probe)
	}
	return n.probe
}

// verdict returns how p ended, or an error if ctx ends first. Where both have, the former:
// what a late answer means must not depend on chance.
func (n *Node) verdict(ctx *CallContext, p *probe) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		select {
		case <-p.done:
		default:
			return n.Set.ErrNoAnswer
		}
	}
	return p.err
}

func (n *Node) runProbe(ctx *CallContext, p *probe) {
	began := n.Set.Now()
	reply, err := n.Run(ctx, probeScript, []string{n.Set.Opt.KeyPrefix + "probe:" + n.Set.id}, []string{strconv.Itoa(n.index)})
	first := int64(-1) // the index that was written first
	if err == nil {
		first, err = reply.Number()
	}
	switch {
	case err != nil:
		p.err = fmt.Errorf("not verified: %w", err)
	case first < 0 || first >= int64(len(n.Set.Nodes)):
		p.err = fmt.Errorf("not verified: the probe's reply is %v", reply)
	case first != int64(n.index):
		p.err = fmt.Errorf("%w: nodes %d and %d are the same server", core.ErrInvalid, first, n.index)
		told := Invalid(n.Failed(p.err))
		n.Set.mistake.CompareAndSwap(nil, &told)
	default:
		p.err = n.Set.verified(ctx, n, began)
	}
	n.mu.Lock()
	n.probe = nil
	n.mu.Unlock()
	close(p.done)
}

// SameServer returns the error of a set of which two nodes were found to be one server:
// that is a mistake of who made the set, so it is told from then on. A lock on one node
// alone is right all the same.
func (s *Set) SameServer(nodes int) error {
	if err := s.mistake.Load(); err != nil && nodes > 1 {
		return *err
	}
	return nil
}

// faded reports whether a mark written then may be gone, on either clock.
func (s *Set) faded(t Instant) bool {
	now := s.Now()
	return max(now.Mono.Sub(t.Mono), now.wall.Sub(t.wall)) > probeLife-10*time.Second
}

// verified notes that n is, by a probe that began then. The marks of others may be gone by
// now, and n would then not have met them: these are verified again before n counts, and
// meet n's mark.
func (s *Set) verified(ctx *CallContext, n *Node, began Instant) error {
	var stale []*Node
	for _, o := range s.Nodes {
		o.mu.Lock()
		if o == n {
			o.since = began
		} else if o.verified.Load() && s.faded(o.since) {
			o.verified.Store(false)
			stale = append(stale, o)
		}
		o.mu.Unlock()
	}
	var again []*probe
	for _, o := range stale {
		if p := o.verify(ctx); p != nil {
			again = append(again, p)
		}
	}
	for _, p := range again {
		<-p.done // those who wait for n leave when their time is up
		if p.err != nil {
			return fmt.Errorf("not verified, since another node is not any more: %w", p.err)
		}
	}
	if s.faded(began) { // whoever was verified meanwhile may not have met n's mark
		return errors.New("not verified: the probe took too long")
	}
	n.verified.Store(true)
	return nil
}
