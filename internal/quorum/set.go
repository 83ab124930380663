// Package quorum is the RedLock algorithm: attempts, extension, repair, release and
// waiting over 1..N nodes, written once for every kind of lock.
//
// The algorithm is the one described at
// redis.io/docs/latest/develop/clients/patterns/distributed-locks, with fencing tokens,
// an argument for each step in docs/safety.md, and a queue of waiters.
package quorum

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/random"
)

// A Set is what belongs to a group of nodes and not to one lock: which of them are
// verified, what is known of their clocks, who waits in this process, and the live
// leases.
type Set struct {
	opt    core.Options
	clock  clock
	drift  time.Duration
	window time.Duration // that an attempt, and a node, has: Expiry - MinValidity
	nodes  []*node
	id     string // random; names the probe key and the wake-up channel
	born   time.Time
	token  atomic.Int64 // the highest seen

	expiry, keep, guard string // as scripts take them, in ms
	errNoAnswer         error
	limit               limit // of calls

	done  chan struct{} // closed by Close
	calls atomic.Int64  // under way
	still chan struct{} // of capacity 1: no call is under way

	mu      sync.Mutex
	closed  bool // nothing new begins
	gone    bool // nothing is tried again
	holds   map[*Hold]struct{}
	watch   *time.Timer
	retries map[*retry]struct{}

	lines   map[string]*line
	crowds  map[string]time.Time // locks that somebody was refused, and when
	spare   *line                // an empty one, for the next lock that is asked for
	tickets map[string]*waiter
}

// New checks the nodes and the options.
func New(scripters []core.Scripter, opts *core.Options) (*Set, error) {
	if len(scripters) == 0 {
		return nil, fmt.Errorf("%w: 0 nodes, at least 1 wanted", core.ErrInvalid)
	}
	opt, err := opts.Resolve()
	if err != nil {
		return nil, err
	}
	s := &Set{
		opt:     opt,
		clock:   opt.Now,
		drift:   opt.Drift(),
		window:  opt.Expiry - opt.MinValidity,
		id:      random.ID(),
		born:    time.Now(),
		expiry:  millis(opt.Expiry),
		keep:    millis(max(2*time.Minute, 2*opt.Expiry)),
		guard:   millis(opt.RestartGuard),
		done:    make(chan struct{}),
		still:   make(chan struct{}, 1),
		holds:   map[*Hold]struct{}{},
		retries: map[*retry]struct{}{},
		lines:   map[string]*line{},
		crowds:  map[string]time.Time{},
		tickets: map[string]*waiter{},
	}
	s.errNoAnswer = fmt.Errorf("no answer within %v", s.window)
	for i, sc := range scripters {
		if err := check(scripters, i); err != nil {
			return nil, fmt.Errorf("%w: %w", core.ErrInvalid, &core.NodeError{Node: i, Err: err})
		}
		n := &node{set: s, index: i, scripter: sc, probing: -1}
		n.verified.Store(len(scripters) == 1)
		n.listener.init(n)
		s.nodes = append(s.nodes, n)
	}
	return s, nil
}

// check says what is wrong with the i-th node, as far as can be seen without asking it.
func check(scripters []core.Scripter, i int) error {
	sc := scripters[i]
	if sc == nil {
		return errors.New("nil Scripter")
	}
	if v := reflect.ValueOf(sc); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("nil %T", sc)
	}
	for j, other := range scripters[:i] {
		if reflect.ValueOf(sc).Comparable() && reflect.ValueOf(other).Comparable() && sc == other {
			return fmt.Errorf("the same Scripter as node %d", j)
		}
	}
	if c, ok := sc.(core.Checker); ok {
		return c.Check()
	}
	return nil
}

// member is a node of a set in the form in which the constructors of locks take
// nodes, so that locks made from the nodes of one set share it.
type member struct {
	core.Scripter
	node *node
}

// Nodes returns the set's nodes for the constructors of locks.
func (s *Set) Nodes() []core.Scripter {
	ms := make([]core.Scripter, len(s.nodes))
	for i, n := range s.nodes {
		ms[i] = &member{n.scripter, n}
	}
	return ms
}

// join returns the set that the nodes belong to, a new one if they belong to none.
func join(scripters []core.Scripter, opts *core.Options) (*Set, []*node, error) {
	if len(scripters) > 0 {
		if _, ok := scripters[0].(*member); ok {
			nodes := make([]*node, len(scripters))
			for i, sc := range scripters {
				nodes[i] = sc.(*member).node
			}
			return nodes[0].set, nodes, nil
		}
	}
	s, err := New(scripters, opts)
	if err != nil {
		return nil, nil, err
	}
	return s, s.nodes, nil
}

// elapsed is the set's monotonic clock.
func (s *Set) elapsed(t time.Time) time.Duration { return t.Sub(s.born) }

// proposal returns the token, in us, that this client suggests to all nodes: what their
// clocks show now, as far as learnt, but more than any token seen.
func (s *Set) proposal() int64 {
	p := s.opt.Now().UnixMicro()
	for _, n := range s.nodes {
		if offset := n.offset.Load(); offset != 0 {
			p = offset + s.elapsed(time.Now()).Microseconds()
			break
		}
	}
	return max(p, s.token.Load()+1)
}

// saw notes a token.
func (s *Set) saw(token int64) {
	for old := s.token.Load(); token > old; old = s.token.Load() {
		if s.token.CompareAndSwap(old, token) {
			return
		}
	}
}

// add registers a live lease; false: the set is closed. One timer for all of them
// compares the wall clock.
func (s *Set) add(h *Hold) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.holds[h] = struct{}{}
	if len(s.holds) == 1 {
		if s.watch == nil {
			s.watch = time.AfterFunc(s.beat(), s.compare)
		} else {
			s.watch.Reset(s.beat())
		}
	}
	return true
}

func (s *Set) remove(h *Hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.holds, h)
	if len(s.holds) == 0 && s.watch != nil {
		s.watch.Stop()
	}
}

func (s *Set) beat() time.Duration { return min(time.Second, s.opt.Expiry/10) }

func (s *Set) compare() {
	for _, h := range s.live() {
		h.Check()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.holds) > 0 {
		s.watch.Reset(s.beat())
	}
}

func (s *Set) live() []*Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	hs := make([]*Hold, 0, len(s.holds))
	for h := range s.holds {
		hs = append(hs, h)
	}
	return hs
}

// maxClosing is how many leases Close releases at a time: clients have few connections,
// and a timeout for who waits for one.
const maxClosing = 128

// Close ends waiting calls, releases every lease and returns when that is done or the
// window has passed. Further calls do nothing.
func (s *Set) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	s.mu.Unlock()
	s.hurry() // the last chance

	ctx, cancel := context.WithTimeout(context.Background(), s.window)
	defer cancel()
	holds := s.live()
	errs := make([]error, len(holds))
	var wg sync.WaitGroup
	places := make(chan struct{}, maxClosing)
	for i, h := range holds {
		select {
		case places <- struct{}{}:
		case <-ctx.Done(): // what is left must end, too
		}
		wg.Go(func() {
			cause := fmt.Errorf("%w: %w", core.ErrReleased, core.ErrClosed)
			errs[i] = h.release(cause, ctx.Done(), func() error { return s.errNoAnswer })
			select {
			case <-places:
			default:
			}
		})
	}
	wg.Wait()
	defer s.limit.close()
	s.forget()
	for _, n := range s.nodes {
		n.listener.stop(ctx)
	}
	for s.calls.Load() > 0 && ctx.Err() == nil {
		select {
		case <-s.still:
		case <-ctx.Done():
		}
	}
	return errors.Join(errs...)
}

// isClosed reports whether Close has been called.
func (s *Set) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// forget drops what was to be tried again; what it was about ends by its TTL.
func (s *Set) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	for r := range s.retries {
		r.timer.Stop()
	}
	clear(s.retries)
}

// enter counts a call in, unless the set is closed.
func (s *Set) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.begun()
	}
	return !s.closed
}

// begun counts a call in, for Close, and what is to be done with its answer.
func (s *Set) begun() { s.calls.Add(1) }

// ended counts it out. A call that follows from it has been counted in before.
func (s *Set) ended() {
	if s.calls.Add(-1) > 0 {
		return
	}
	select {
	case s.still <- struct{}{}:
	default:
	}
}

// millis formats d for a script, rounded up: a node may keep a hold longer, not
// shorter.
func millis(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}
