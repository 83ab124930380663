package sim

import (
	"strconv"
	"strings"
	"time"
)

// evicted are the kinds of keys by how their names end. What has none of these ends is a
// hold: of a mutex or a writer, of all readers, of a semaphore's permits.
var evicted = map[string]Fault{
	":meta": MetaEvicted, ":queue": QueueEvicted, ":tickets": TicketsEvicted, ":slots": SlotsEvicted,
}

// A found key is one that may vanish.
type foundKey struct {
	node *Node
	name string
}

// Evict lets a key of a kind vanish from a node that is up, and tells whether there was
// one. Unless it is to be reckless it takes only what the locks can spare: see spares.
func (c *Cluster) Evict(kind Fault, reckless bool) bool {
	for _, n := range c.Nodes {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.sync()
	}
	var found []foundKey
	for _, n := range c.Nodes {
		if n.down {
			continue
		}
		for _, name := range n.redis.Keys() {
			if kindOf(name) == kind && (reckless || c.spares(n, name, kind)) {
				found = append(found, foundKey{n, name})
			}
		}
	}
	if len(found) == 0 {
		return false
	}
	k := found[c.Dice.Named("evicted").Of(uint64(time.Now().UnixNano())).N(len(found))]
	k.node.redis.Del(k.name)
	c.stats.Count(kind)
	return true
}

// kindOf is the fault that the loss of a key is; -1: a key that nothing depends on.
func kindOf(name string) Fault {
	if strings.HasPrefix(name, "probe:") {
		return -1
	}
	if f, ok := evicted[name[max(0, strings.LastIndexByte(name, ':')):]]; ok {
		return f
	}
	return HoldEvicted
}

// spares tells whether the promises hold without a key, all nodes locked.
//
// A hold is needed where it is one of a majority. So each owner in it must be, for as long
// at least, on a majority of the other nodes: whatever ends a client has taken from the
// answers of this node so far, others bear them out.
//
// The counter is needed until the clock, which is the floor of all tokens, has passed it
// by the second that a proposal may be behind.
//
// Queue and tickets give an order, which no promise of safety rests on. Slots are not
// spared at all: without them permits are counted alike, but two can have one slot.
func (c *Cluster) spares(n *Node, name string, kind Fault) bool {
	switch kind {
	case HoldEvicted:
		for owner, left := range n.owners(name) {
			others := 0
			for _, o := range c.Nodes {
				if o != n && o.owners(name)[owner] >= left {
					others++
				}
			}
			if others < len(c.Nodes)/2+1 {
				return false
			}
		}
	case MetaEvicted:
		token, _ := strconv.ParseInt(n.redis.HGet(name, "token"), 10, 64)
		return token < n.synced.Add(-time.Second).UnixMicro()
	}
	return true
}

// owners are those whose holds are in a key, and for how long on the node's clock.
func (n *Node) owners(name string) map[string]time.Duration {
	left := map[string]time.Duration{}
	switch n.redis.Type(name) {
	case "string":
		owner, _ := n.redis.Get(name)
		left[owner] = n.redis.TTL(name)
	case "zset":
		scores, _ := n.redis.SortedSet(name)
		for owner, ends := range scores {
			if d := time.UnixMilli(int64(ends)).Sub(n.synced); d > 0 {
				left[owner] = d
			}
		}
	}
	return left
}
