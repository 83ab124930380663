package sim

import (
	"strings"
	"time"
)

// leftovers looks at the nodes after everybody has gone: once the longest lease
// has passed only meta keys may be left, each with its TTL, and they go as well.
func (r *run) leftovers() {
	// The longest lease of a hold, and that of a ticket.
	time.Sleep(r.plan.Expiry + r.plan.Expiry/50 + 30*time.Second)
	for _, n := range r.cluster.Nodes {
		for _, key := range n.Keys() {
			ttl, err := n.Command("PTTL", key)
			if err != nil || ttl.(int) < 0 {
				r.fail("node %d: key %q has no TTL: %v, %v", n.Index, key, ttl, err)
			}
			if !strings.HasSuffix(key, ":meta") && !strings.HasPrefix(key, "probe:") {
				r.fail("node %d: key %q is left, TTL %v ms", n.Index, key, ttl)
			}
		}
		if s := n.Subscriptions(); s > 0 {
			r.fail("node %d: %d subscriptions are left", n.Index, s)
		}
	}
	if r.plan.Broken != None {
		return // a clock that was moved moves the TTLs
	}
	// A counter outlives the clock that it is ahead of.
	time.Sleep(3*r.plan.ClockSpread + max(2*time.Minute, 2*r.plan.Expiry) + 5*time.Minute)
	for _, n := range r.cluster.Nodes {
		if keys := n.Keys(); len(keys) > 0 {
			r.fail("node %d: keys are left after their TTL: %q", n.Index, keys)
		}
	}
}

// Keys lists the keys of the node.
func (n *Node) Keys() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sync()
	return n.redis.Keys()
}
