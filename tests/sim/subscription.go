package sim

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A subscription is one client's subscription to one channel of one node.
type subscription struct {
	link   *Link
	dice   Dice
	broken chan struct{} // closed when the connection is gone
	more   chan struct{} // holds one token while messages may be queued

	mu       sync.Mutex
	deafFrom time.Time // from then on nothing is heard; zero: never
	why      Fault     // why it is deaf
	queue    []arrival
	last     time.Time // when the latest message arrives
	pushed   int
	off      bool // broken is closed
	deaf     bool // counted
}

type arrival struct {
	at      time.Time
	payload string
}

// push sends a message on its way to the subscriber, at the instant it is
// published. It does not block.
func (s *subscription) push(payload string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, faults, stats := time.Now(), s.link.cluster.faults.Load(), s.link.cluster.stats
	s.pushed++
	d := s.dice.Of(uint64(now.UnixNano()), uint64(s.pushed))
	if !s.deafFrom.IsZero() && !now.Before(s.deafFrom) {
		if !s.deaf {
			s.deaf = true
			stats.Count(s.why)
		}
		return
	}
	if d.Named("lost").Chance(faults.MessageLost) {
		stats.Count(MessageLost)
		return
	}
	copies := 1
	if d.Named("repeated").Chance(faults.MessageRepeated) {
		stats.Count(MessageRepeated)
		copies = 2
	}
	for i := range copies {
		at := now.Add(d.Of(uint64(i)).Between(s.link.near, s.link.far))
		if at.Before(s.last) {
			at = s.last
		}
		s.last = at
		s.queue = append(s.queue, arrival{at, payload})
	}
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *subscription) pop() (arrival, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return arrival{}, false
	}
	a := s.queue[0]
	s.queue = s.queue[1:]
	return a, true
}

// breakOff ends the connection.
func (s *subscription) breakOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.off {
		s.off = true
		close(s.broken)
	}
}

// deafen makes it hear nothing more, although it lives.
func (s *subscription) deafen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deafFrom.IsZero() {
		s.deafFrom, s.why = time.Now(), PushDeaf
	}
}

// Deafen makes all subscriptions that the node has deaf, and returns what breaks them off:
// in a planned failover they stay with the old primary, where nobody publishes any more,
// until it is told that it is a replica. Those made from now on hear.
func (n *Node) Deafen() (breakOff func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []*subscription
	for _, subs := range n.subs {
		all = append(all, subs...)
	}
	for _, s := range all {
		s.deafen()
	}
	return func() {
		for _, s := range all {
			s.breakOff()
		}
	}
}

// Subscribe implements core.Subscriber.
func (l *Link) Subscribe(ctx context.Context, channel string, ready func(), deliver func(payload string)) error {
	d := l.dice.Of(uint64(time.Now().UnixNano())).Named("subscribe")
	l.client.awake(d)
	if l.dead() || l.client.Killed() {
		return wait(ctx, l.client.ReadTimeout, errTimeout)
	}
	if err := wait(ctx, d.Named("out").Between(l.near, l.far), nil); err != nil {
		return err
	}
	s := &subscription{link: l, dice: d, broken: make(chan struct{}), more: make(chan struct{}, 1)}
	var noticed <-chan time.Time
	if faults := l.cluster.faults.Load(); d.Named("deaf").Chance(faults.Deaf) {
		hears := d.Named("hears").Between(0, 30*time.Second)
		s.deafFrom, s.why = time.Now().Add(hears), Deaf
		timer := time.NewTimer(hears + d.Named("noticed").Between(time.Second, 2*time.Minute))
		defer timer.Stop()
		noticed = timer.C
	}
	if !l.node.subscribe(channel, s) {
		return wait(ctx, d.Named("in").Between(l.near, l.far), errRefused)
	}
	defer l.node.unsubscribe(channel, s)
	if err := wait(ctx, d.Named("in").Between(l.near, l.far), nil); err != nil {
		return err
	}
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.broken:
			return errReset
		case <-noticed:
			return errTimeout
		case <-s.more:
		}
		for {
			a, ok := s.pop()
			if !ok {
				break
			}
			if err := wait(ctx, time.Until(a.at), nil); err != nil {
				return err
			}
			l.client.awake(d)
			if l.client.Killed() || l.dead() {
				continue
			}
			l.cluster.stats.Delivered.Add(1)
			l.cluster.shuffle.yield()
			deliver(a.payload)
		}
	}
}

// wait sleeps and returns err, or the context's error if that ends first.
func wait(ctx context.Context, d time.Duration, err error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return err
	}
}

// subscribe registers s unless the node is down.
func (n *Node) subscribe(channel string, s *subscription) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return false
	}
	n.subs[channel] = append(n.subs[channel], s)
	return true
}

func (n *Node) unsubscribe(channel string, s *subscription) {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := slices.DeleteFunc(n.subs[channel], func(o *subscription) bool { return o == s })
	if len(left) == 0 {
		delete(n.subs, channel)
	} else {
		n.subs[channel] = left
	}
}

// Subscriptions is how many subscriptions the node has.
func (n *Node) Subscriptions() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, s := range n.subs {
		count += len(s)
	}
	return count
}
