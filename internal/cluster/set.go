package cluster

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/options"
	"github.com/redlatch/redlatch/internal/random"
)

// A Set is what belongs to the nodes of a provider and not to one lock: the options, which of
// the nodes are verified, what is known of their clocks, the calls under way, and the live
// leases.
type Set struct {
	Opt    core.Options
	clock  clock
	Drift  time.Duration
	Window time.Duration // that an attempt, and a node, has: Expiry - MinValidity
	Nodes  []*Node
	id     string // random; names the probe key and the wake-up channel
	born   time.Time
	token  atomic.Int64 // the highest seen

	Proven  atomic.Bool           // the nodes had their time to prove themselves
	mistake atomic.Pointer[error] // two nodes are the same server

	Expiry, Keep, Guard string // as scripts take them, in ms
	ErrNoAnswer         error
	limit               limit               // of calls
	Hear                func(ticket string) // a ticket was called
	Ready               func()              // the subscription is there again: a call may have been missed
	Gate                gate                // of attempts

	Done  chan struct{}              // closed by Close
	hope  atomic.Pointer[time.Timer] // that Close goes on; nil: it has not been called
	calls atomic.Int64               // under way
	still chan struct{}              // of capacity 1: no call is under way

	mu      sync.Mutex
	closed  bool // nothing new begins
	gone    bool // nothing is tried again
	live    map[tenant]struct{}
	watch   *time.Timer
	retries list.List // of *retry, in the order in which they came
}

// A tenant is what lives on the nodes of a set and ends at a deadline: a lease's hold.
type tenant interface {
	// Check ends the lease if its deadline has passed on one of the clocks.
	Check()
	// Close ends the lease with that cause, and returns when it has been given back, or with
	// late when leave is closed.
	Close(cause error, leave <-chan struct{}, late error) error
}

// New checks the nodes and the options.
func New(scripters []core.Scripter, opts *core.Options) (*Set, error) {
	if len(scripters) == 0 {
		return nil, fmt.Errorf("%w: 0 nodes, at least 1 wanted", core.ErrInvalid)
	}
	opt, err := options.Resolve(opts)
	if err != nil {
		return nil, err
	}
	s := &Set{
		Opt:    opt,
		clock:  opt.Now,
		Drift:  options.Drift(opt.Expiry),
		Window: opt.Expiry - opt.MinValidity,
		id:     random.ID(),
		born:   time.Now(),
		Expiry: Millis(opt.Expiry),
		Keep:   Millis(max(2*time.Minute, 2*opt.Expiry)),
		Guard:  Millis(opt.RestartGuard),
		Done:   make(chan struct{}),
		still:  make(chan struct{}, 1),
		live:   map[tenant]struct{}{},
		Hear:   func(string) {},
		Ready:  func() {},
	}
	s.ErrNoAnswer = fmt.Errorf("no answer within %v", s.Window)
	for i, sc := range scripters {
		if err := check(scripters, i); err != nil {
			return nil, Invalid(&core.NodeError{Node: i, Err: err}) // which may not be able to say its address
		}
		n := &Node{Set: s, index: i, scripter: sc, probing: -1}
		n.verified.Store(len(scripters) == 1)
		n.Remains.life, n.Remains.of = opt.Expiry, map[string]removals{}
		n.Listener.init(n)
		s.Nodes = append(s.Nodes, n)
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
		if same(sc, other) {
			return fmt.Errorf("the same Scripter as node %d", j)
		}
	}
	if c, ok := sc.(core.Checker); ok {
		return c.Check()
	}
	return nil
}

func same(a, b core.Scripter) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// Same reports whether other is a set of the same Scripters.
func (s *Set) Same(other any) bool {
	o, ok := other.(*Set)
	return ok && slices.EqualFunc(s.Nodes, o.Nodes, func(a, b *Node) bool { return same(a.scripter, b.scripter) })
}

// Now reads both clocks.
func (s *Set) Now() Instant { return s.clock.read() }

// elapsed is the set's monotonic clock.
func (s *Set) elapsed(t time.Time) time.Duration { return t.Sub(s.born) }

// Proposal returns the token, in us, that this client suggests to all nodes: what their
// clocks show now, as far as learnt, but more than any token seen.
func (s *Set) Proposal() int64 {
	p := s.Opt.Now().UnixMicro()
	for _, n := range s.Nodes {
		if offset := n.offset.Load(); offset != 0 {
			p = offset + s.elapsed(time.Now()).Microseconds()
			break
		}
	}
	return max(p, s.token.Load()+1)
}

// Saw notes a token.
func (s *Set) Saw(token int64) {
	for old := s.token.Load(); token > old; old = s.token.Load() {
		if s.token.CompareAndSwap(old, token) {
			return
		}
	}
}

// Add registers a live lease; false: the set is closed. One timer for all of them
// compares the wall clock.
func (s *Set) Add(h tenant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.live[h] = struct{}{}
	if len(s.live) == 1 {
		if s.watch == nil {
			s.watch = time.AfterFunc(s.beat(), s.compare)
		} else {
			s.watch.Reset(s.beat())
		}
	}
	return true
}

// Remove drops a lease that has ended.
func (s *Set) Remove(h tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, h)
	if len(s.live) == 0 && s.watch != nil {
		s.watch.Stop()
	}
}

func (s *Set) beat() time.Duration { return min(time.Second, s.Opt.Expiry/10) }

func (s *Set) compare() {
	for _, h := range s.tenants() {
		h.Check()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.live) > 0 {
		s.watch.Reset(s.beat())
	}
}

func (s *Set) tenants() []tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	hs := make([]tenant, 0, len(s.live))
	for h := range s.live {
		hs = append(hs, h)
	}
	return hs
}

// maxClosing is how many leases Close releases at a time: clients have few connections,
// and a timeout for who waits for one.
const maxClosing = 128

// Close ends waiting calls, releases every lease and returns when that is done, when nothing
// has been given back for the window, or when Expiry has passed, by which what is left ends
// by itself. Further calls do nothing.
func (s *Set) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.Done)
	s.mu.Unlock()
	s.hurryAll() // the last chance

	ctx, cancel := context.WithTimeout(context.Background(), s.Opt.Expiry)
	defer cancel()
	hope := time.AfterFunc(s.Window, cancel)
	s.hope.Store(hope)
	defer func() {
		s.hope.Store(nil) // what is given back later must not start it again
		hope.Stop()
	}()
	holds := s.tenants()
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
			errs[i] = h.Close(cause, ctx.Done(), s.ErrNoAnswer)
			select {
			case <-places:
			default:
			}
		})
	}
	wg.Wait()
	defer s.limit.close()
	s.forget()
	for _, n := range s.Nodes {
		n.Listener.stop(ctx)
	}
	for s.calls.Load() > 0 && ctx.Err() == nil {
		select {
		case <-s.still:
		case <-ctx.Done():
		}
	}
	return errors.Join(errs...)
}

// GaveBack notes for Close that something was given back.
func (s *Set) GaveBack() {
	if hope := s.hope.Load(); hope != nil {
		hope.Reset(s.Window)
	}
}

// IsClosed reports whether Close has been called.
func (s *Set) IsClosed() bool {
	select {
	case <-s.Done:
		return true
	default:
		return false
	}
}

// Enter counts a call in, unless the set is closed.
func (s *Set) Enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.Begun()
	}
	return !s.closed
}

// Begun counts a call in, for Close, and what is to be done with its answer.
func (s *Set) Begun() { s.calls.Add(1) }

// Ended counts it out. A call that follows from it has been counted in before.
func (s *Set) Ended() {
	if s.calls.Add(-1) > 0 {
		return
	}
	select {
	case s.still <- struct{}{}:
	default:
	}
}

// Millis formats d for a script, rounded up: a node may keep a hold longer, not
// shorter.
func Millis(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}
