package sharing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

func TestLockAllInOppositeOrders(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		connect := func() *redlatch.Provider { return s.Connect(t, nil).Provider }
		clients.OppositeOrders(t, s, connect, []clients.Part{
			{Kind: clients.Mutex, Name: name + "a"}, {Kind: clients.RW, Name: name + "b"}, {Kind: clients.Mutex, Name: name + "c"}, {Kind: clients.RW, Name: name + "d"},
		})
		s.Clean(t, name)
	})
}

func TestLockAllMembers(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	c := s.Connect(t, nil)
	short := s.Connect(t, &core.Options{Expiry: 15 * time.Second, MinValidity: 10 * time.Second}).Mutex(name + "d")
	locks := []core.Locker{
		c.Mutex(name + "b"), c.RWMutex(name + "a").RLocker(), c.Mutex(name + "b"), core.Within(c.Mutex(name+"b"), time.Second),
		c.Semaphore(name+"c", 3).Locker(), short,
	}
	l, err := core.LockAll(t.Context(), locks...)
	if err != nil {
		t.Fatal(err)
	}
	members := l.Members()
	if len(members) != len(locks) {
		t.Fatalf("got %d members, want %d", len(members), len(locks))
	}
	var names []string
	for i, m := range members {
		names = append(names, locks[i].Name())
		if m.Name() != locks[i].Name() {
			t.Errorf("member %d: got %q, want %q", i, m.Name(), locks[i].Name())
		}
	}
	if members[0] != members[2] || members[0] != members[3] {
		t.Error("a lock named thrice was not taken once")
	}
	if got, want := l.Name(), strings.Join(names, ", "); got != want {
		t.Errorf("got the name %q, want %q", got, want)
	}
	if l.Token() != 0 || l.Slot() != -1 || members[4].Slot() != 0 || members[0].Token() <= 0 || members[1].Token() != 0 {
		t.Errorf("got token %d, slot %d; members: slot %d, tokens %d, %d", l.Token(), l.Slot(), members[4].Slot(), members[0].Token(), members[1].Token())
	}
	// It may be extended meanwhile.
	before, got, after := members[5].ValidUntil(), l.ValidUntil(), members[5].ValidUntil()
	if got.Before(before.Add(-100*time.Millisecond)) || got.After(after.Add(100*time.Millisecond)) {
		t.Errorf("got the deadline %v, want %v, the earliest", got, after)
	}
	if from, ok := core.FromContext(l.Context()); !ok || from != l {
		t.Error("the lease is not in its context")
	}
	clients.Release(t, l)
	if cause := context.Cause(l.Context()); !errors.Is(cause, core.ErrReleased) {
		t.Errorf("got the cause %v, want %v", cause, core.ErrReleased)
	}
	select {
	case <-l.Lost():
		t.Error("a release closed Lost")
	default:
	}
	clients.Release(t, l)
	s.Clean(t, name)
}

func TestLockAllThatCannotBe(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	c, d := s.Connect(t, nil), s.Connect(t, nil)
	rw := c.RWMutex(name)
	for what, locks := range map[string][]core.Locker{
		"none":                        {},
		"a nil one":                   {c.Mutex(name), nil},
		"both sides of one lock":      {rw, rw.RLocker()},
		"one name, two providers":     {c.Mutex(name), d.Mutex(name)},
		"one semaphore, two limits":   {c.Semaphore(name, 2).Locker(), c.Semaphore(name, 3).Locker()},
		"both sides, wrapped":         {core.Within(rw.RLocker(), time.Second), core.Within(rw, time.Second)},
		"both sides, others between":  {rw, c.Mutex("a" + name), c.Mutex("z" + name), c.RWMutex(name).RLocker()},
		"both sides, of two objects ": {c.RWMutex(name).RLocker(), c.RWMutex(name)},
	} {
		if l, err := core.LockAll(t.Context(), locks...); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: got %v, want %v", what, err, core.ErrInvalid)
			if l != nil {
				clients.Release(t, l)
			}
		}
	}
	if keys := s.Keys(t, name); len(keys) != 0 {
		t.Errorf("something was taken: %q", keys)
	}
}

func TestLockAllGivesBack(t *testing.T) {
	s := clients.Three(t)
	name := clients.Name(t)
	c := s.Connect(t, nil)
	held := clients.Take(t, s.Connect(t, nil).Mutex(name+"b").Lock)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := core.LockAll(ctx, c.Mutex(name+"c"), c.Mutex(name+"b"), c.Mutex(name+"a"))
	if !errors.Is(err, core.ErrNotAcquired) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v and %v", err, core.ErrNotAcquired, context.DeadlineExceeded)
	}
	if took := time.Since(began); took < time.Second || took > 10*time.Second {
		t.Errorf("it took %v, want the second of its context", took)
	}
	for _, n := range []string{"a", "c"} { // an attempt that was under way is undone in the background
		clients.Release(t, clients.Take(t, s.Connect(t, nil).Mutex(name+n).Lock))
	}
	clients.Release(t, held)
	s.Clean(t, name)
}

// taken tells of the lease that a lock gave.
type taken struct {
	core.Locker
	lease *core.Lease
}

func (l *taken) Lock(ctx context.Context) (lease *core.Lease, err error) {
	l.lease, err = l.Locker.Lock(ctx)
	return l.lease, err
}

// first does something before it locks.
type first struct {
	core.Locker
	do func()
}

func (l *first) Lock(ctx context.Context) (*core.Lease, error) {
	l.do()
	return l.Locker.Lock(ctx)
}

func TestLockAllNoticesALostMember(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	c := s.Connect(t, brief())
	a := &taken{Locker: c.Mutex(name + "a")}
	b := &first{c.Mutex(name + "b"), func() {
		s.Plain(t)[0].Del(t.Context(), name+"a")
		<-a.lease.Lost()
	}}
	_, err := core.LockAll(t.Context(), b, a)
	if !errors.Is(err, core.ErrLost) {
		t.Errorf("got %v, want %v", err, core.ErrLost)
	}
	// An attempt that was under way is undone in the background.
	clients.Release(t, clients.Take(t, s.Connect(t, nil).Mutex(name+"b").Lock))
	s.Clean(t, name)
}

func TestLockAllEndsWithAnyMember(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	c := s.Connect(t, brief())
	l, err := core.LockAll(t.Context(), c.Mutex(name+"a"), c.Mutex(name+"b"), c.Mutex(name+"c"))
	if err != nil {
		t.Fatal(err)
	}
	s.Plain(t)[0].Del(t.Context(), name+"b")
	select {
	case <-l.Lost():
	case <-time.After(5 * time.Second):
		t.Fatal("Lost is open")
	}
	if cause := context.Cause(l.Context()); !errors.Is(cause, core.ErrLost) {
		t.Errorf("got the cause %v, want %v", cause, core.ErrLost)
	}
	if l.Members()[0].Context().Err() != nil {
		t.Error("a member ended that was not lost")
	}
	if err := l.Release(t.Context()); !errors.Is(err, core.ErrLost) {
		t.Errorf("the release: got %v, want %v", err, core.ErrLost)
	}
	for _, m := range l.Members() {
		if m.Context().Err() == nil {
			t.Errorf("%q was not released", m.Name())
		}
	}
	s.Clean(t, name)
}

func TestLockAllReleasesInReversePastErrors(t *testing.T) {
	t.Parallel() // it waits for most of the time
	s := clients.One(t)
	name := clients.Name(t)
	through, proxies := s.Proxied(t)
	c := s.Connect(t, nil)
	stuck := through.Connect(t, &core.Options{Expiry: 10 * time.Second, MinValidity: 5 * time.Second}) // a window of 5 s
	l, err := core.LockAll(t.Context(), c.Mutex(name+"a"), stuck.Mutex(name+"b"), c.Mutex(name+"c"))
	if err != nil {
		t.Fatal(err)
	}
	a, b, last := l.Members()[0].Context(), l.Members()[1].Context(), l.Members()[2].Context()
	proxies[0].Stall(proxy.Both)
	done := make(chan error)
	go func() { done <- l.Release(context.WithoutCancel(t.Context())) }()
	<-b.Done() // its release waits for the node
	if last.Err() == nil {
		t.Error("the second member was released before the third")
	}
	select {
	case <-a.Done(): // nor does it keep the others waiting
	case <-time.After(4 * time.Second):
		t.Error("the first member waits for the release of the second")
	}
	err = <-done
	var node *core.NodeError
	if !errors.As(err, &node) {
		t.Errorf("got %v, want a node error", err)
	}
	clients.Release(t, clients.Take(t, s.Connect(t, nil).Mutex(name+"a").TryLock))
	if again := l.Release(t.Context()); !errors.Is(again, err) && fmt.Sprint(again) != fmt.Sprint(err) {
		t.Errorf("the second release: got %v, want %v", again, err)
	}
	proxies[0].Resume()
	s.Clean(t, name)
}
