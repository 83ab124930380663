package quorum

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/script"
)

// A server given twice would count twice and make a minority look like a majority. So
// the nodes of a set write their index under one random key, each on its own server;
// two that share a server meet there. A node not yet verified does not count.

//go:embed probe.lua
var probeSource string

var probeScript = script.New(probeSource)

// probeLife is how long a mark stays; a little less is how long it is relied on.
const probeLife = 60 * time.Second

// probe is one verification under way, shared by the calls that wait for it.
type probe struct {
	done chan struct{}
	err  error
}

// verify starts the verification of the node, or joins the one under way; nil: it is
// verified.
func (n *node) verify(ctx *callContext) *probe {
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
func (n *node) verdict(ctx *callContext, p *probe) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		select {
		case <-p.done:
		default:
			return n.set.errNoAnswer
		}
	}
	return p.err
}

func (n *node) runProbe(ctx *callContext, p *probe) {
	began := n.set.clock.read()
	reply, err := n.run(ctx, probeScript, []string{n.set.opt.KeyPrefix + "probe:" + n.set.id}, []string{strconv.Itoa(n.index)})
	switch {
	case err != nil:
		p.err = fmt.Errorf("not verified: %w", err)
	case len(reply) < 3 || reply[2] < 0 || reply[2] >= int64(len(n.set.nodes)):
		p.err = fmt.Errorf("not verified: the probe's reply is %v", reply)
	case reply[2] != int64(n.index):
		p.err = fmt.Errorf("%w: nodes %d and %d are the same server", core.ErrInvalid, reply[2], n.index)
	default:
		p.err = n.set.verified(ctx, n, began)
	}
	n.mu.Lock()
	n.probe = nil
	n.mu.Unlock()
	close(p.done)
}

// faded reports whether a mark written then may be gone, on either clock.
func (s *Set) faded(t instant) bool {
	now := s.clock.read()
	return max(now.mono.Sub(t.mono), now.wall.Sub(t.wall)) > probeLife-10*time.Second
}

// verified notes that n is, by a probe that began then. The marks of others may be gone by
// now, and n would then not have met them: these are verified again before n counts, and
// meet n's mark.
func (s *Set) verified(ctx *callContext, n *node, began instant) error {
	var stale []*node
	for _, o := range s.nodes {
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
