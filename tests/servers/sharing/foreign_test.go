package sharing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// The .NET package DistributedLock.Redis, played with the commands that it sends.
type dotnet struct {
	t     *testing.T
	nodes []*redis.Client
}

// lock is its mutex: SET name id NX PX on a majority.
func (d dotnet) lock(name, id string, expiry time.Duration) bool {
	d.t.Helper()
	won := 0
	for _, n := range d.nodes {
		ok, err := n.SetNX(d.t.Context(), name, id, expiry).Result()
		if err != nil {
			d.t.Fatal(err)
		}
		if ok {
			won++
		}
	}
	if won <= len(d.nodes)/2 {
		d.unlock(name, id)
		return false
	}
	return true
}

const (
	dotnetExtend  = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0`
	dotnetUnlock  = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`
	dotnetAcquire = `
		redis.replicate_commands()
		local time = redis.call('time')
		local now = (time[1] * 1000) + math.floor(time[2] / 1000)
		redis.call('zremrangebyscore', KEYS[1], '-inf', now)
		if redis.call('zcard', KEYS[1]) < tonumber(ARGV[1]) then
			redis.call('zadd', KEYS[1], now + tonumber(ARGV[3]), ARGV[2])
			local ttl = redis.call('pttl', KEYS[1])
			if ttl < tonumber(ARGV[3]) then redis.call('pexpire', KEYS[1], 3 * tonumber(ARGV[3])) end
			return 1
		end
		return 0`
)

// unlock reports on how many nodes the lock was its own.
func (d dotnet) unlock(name, id string) (n int) {
	d.t.Helper()
	for _, c := range d.nodes {
		got, err := c.Eval(d.t.Context(), dotnetUnlock, []string{name}, id).Int()
		if err != nil {
			d.t.Fatal(err)
		}
		n += got
	}
	return n
}

func (d dotnet) extend(name, id string, expiry time.Duration) (n int) {
	d.t.Helper()
	for _, c := range d.nodes {
		got, err := c.Eval(d.t.Context(), dotnetExtend, []string{name}, id, expiry.Milliseconds()).Int()
		if err != nil {
			d.t.Fatal(err)
		}
		n += got
	}
	return n
}

// acquire is its semaphore: a sorted set on one node.
func (d dotnet) acquire(name, id string, limit int, expiry time.Duration) bool {
	d.t.Helper()
	got, err := d.nodes[0].Eval(d.t.Context(), dotnetAcquire, []string{name}, limit, id, expiry.Milliseconds()).Int()
	if err != nil {
		d.t.Fatal(err)
	}
	return got == 1
}

func (d dotnet) give(name, id string) {
	d.t.Helper()
	if n, err := d.nodes[0].ZRem(d.t.Context(), name, id).Result(); err != nil || n != 1 {
		d.t.Errorf("got %d permits of %s removed, %v, want 1", n, id, err)
	}
}

// crash makes a permit's time run out soon, as it does for one whose holder has crashed.
func (d dotnet) crash(name, id string) {
	d.t.Helper()
	end := float64(time.Now().Add(300 * time.Millisecond).UnixMilli())
	if err := d.nodes[0].ZAddXX(d.t.Context(), name, member(id, end)).Err(); err != nil {
		d.t.Fatal(err)
	}
}

func TestDotNetMutex(t *testing.T) {
	for what, site := range map[string]func(testing.TB) *clients.Site{"1 node": clients.One, "3 nodes": clients.Three} {
		t.Run(what, func(t *testing.T) {
			s := site(t)
			name := clients.Name(t)
			net := dotnet{t, s.Plain(t)}
			m := s.Connect(t, nil).Mutex(name)

			ours := clients.Take(t, m.Lock)
			if net.lock(name, "net", 10*time.Second) {
				t.Error(".NET locked what we hold")
			}
			if n := net.extend(name, "net", time.Hour) + net.unlock(name, "net"); n != 0 {
				t.Errorf(".NET extended or unlocked our lock on %d nodes", n)
			}
			clients.Release(t, ours)
			s.Clean(t, name) // on the last node, too, before .NET comes there

			if !net.lock(name, "net", time.Minute) {
				t.Fatal(".NET cannot lock what we released")
			}
			_, err := m.TryLock(t.Context())
			refused(t, "a mutex that .NET holds", err)
			w := clients.Wait(t, m.Lock)
			s.Queued(t, clients.Mutex, name, 1)
			if n := net.extend(name, "net", time.Minute); n != len(net.nodes) {
				t.Errorf(".NET extended its lock on %d nodes, want %d", n, len(net.nodes))
			}
			if w.Done() {
				t.Error("we locked what .NET holds")
			}
			if n := net.unlock(name, "net"); n != len(net.nodes) {
				t.Errorf(".NET unlocked on %d nodes, want %d", n, len(net.nodes))
			}
			clients.Release(t, w.Lease(10*time.Second)) // it polls: .NET calls nobody

			if !net.lock(name, "crashed", 300*time.Millisecond) {
				t.Fatal(".NET cannot lock what we released")
			}
			clients.Release(t, clients.Take(t, m.Lock)) // after its expiry
			s.Clean(t, name)
		})
	}
}

func TestDotNetSemaphore(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	net := dotnet{t, s.Plain(t)}
	sem := s.Connect(t, nil).Semaphore(name, 3)
	available := func(want int) {
		t.Helper()
		if got, err := sem.Available(t.Context()); err != nil || got != want {
			t.Errorf("got %d available, %v, want %d", got, err, want)
		}
	}

	a := clients.Take(t, sem.Acquire)
	if !net.acquire(name, "net1", 3, time.Minute) {
		t.Fatal(".NET got no permit beside one of ours")
	}
	available(1)
	b := clients.Take(t, sem.Acquire)
	if net.acquire(name, "net2", 3, time.Minute) {
		t.Error(".NET got a fourth of three permits")
	}
	_, err := sem.TryAcquire(t.Context())
	refused(t, "a fourth permit", err)
	if a.Slot() == b.Slot() {
		t.Errorf("got slot %d twice", a.Slot())
	}
	w := clients.Wait(t, sem.Acquire)
	s.Queued(t, clients.Semaphore, name, 1)
	net.give(name, "net1")
	c := w.Lease(10 * time.Second)
	for _, l := range []*core.Lease{a, b, c} {
		if l.Context().Err() != nil {
			t.Errorf("a permit of ours ended: %v", context.Cause(l.Context()))
		}
	}
	clients.Release(t, a)
	if !net.acquire(name, "crashed", 3, time.Minute) {
		t.Error(".NET cannot have the permit that we released")
	}
	available(0)
	net.crash(name, "crashed")
	d := clients.Take(t, sem.Acquire) // after its expiry
	for _, l := range []*core.Lease{b, c, d} {
		clients.Release(t, l)
	}
	available(3)
	s.Clean(t, name)
}

func TestRedsync(t *testing.T) {
	for what, site := range map[string]func(testing.TB) *clients.Site{"1 node": clients.One, "3 nodes": clients.Three} {
		t.Run(what, func(t *testing.T) {
			s := site(t)
			name := clients.Name(t)
			var pools []redsyncredis.Pool
			for _, c := range s.Plain(t) {
				pools = append(pools, redsyncgoredis.NewPool(c))
			}
			// A node has half of the expiry to answer, not a twentieth.
			theirs := redsync.New(pools...).NewMutex(name, redsync.WithExpiry(time.Minute), redsync.WithTimeoutFactor(0.5), redsync.WithTries(1))
			ours := s.Connect(t, nil).Mutex(name)

			l := clients.Take(t, ours.Lock)
			var taken *redsync.ErrTaken
			if err := theirs.LockContext(t.Context()); !errors.As(err, &taken) {
				t.Errorf("redsync on what we hold: got %v, want %T", err, taken)
			}
			clients.Release(t, l)
			s.Clean(t, name) // on the lead, too, before redsync comes there
			if err := theirs.LockContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err := ours.TryLock(t.Context())
			refused(t, "a mutex that redsync holds", err)
			w := clients.Wait(t, ours.Lock)
			s.Queued(t, clients.Mutex, name, 1)
			if ok, err := theirs.ExtendContext(t.Context()); !ok || err != nil {
				t.Errorf("redsync cannot extend: %v, %v", ok, err)
			}
			if w.Done() {
				t.Error("we locked what redsync holds")
			}
			if ok, err := theirs.UnlockContext(t.Context()); !ok || err != nil {
				t.Errorf("redsync cannot unlock: %v, %v", ok, err)
			}
			l = w.Lease(10 * time.Second)
			if ok, _ := theirs.UnlockContext(t.Context()); ok {
				t.Error("redsync unlocked what we hold")
			}
			clients.Release(t, l)
			s.Clean(t, name)
		})
	}
}

func TestRedislock(t *testing.T) {
	s := clients.One(t)
	name := clients.Name(t)
	theirs := redislock.New(s.Plain(t)[0])
	ours := s.Connect(t, nil).Mutex(name)

	l := clients.Take(t, ours.Lock)
	if _, err := theirs.Obtain(t.Context(), name, time.Minute, nil); !errors.Is(err, redislock.ErrNotObtained) {
		t.Errorf("redislock on what we hold: got %v, want %v", err, redislock.ErrNotObtained)
	}
	clients.Release(t, l)
	their, err := theirs.Obtain(t.Context(), name, time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ours.TryLock(t.Context())
	refused(t, "a mutex that redislock holds", err)
	w := clients.Wait(t, ours.Lock)
	s.Queued(t, clients.Mutex, name, 1)
	if err := their.Refresh(t.Context(), time.Minute, nil); err != nil {
		t.Error(err)
	}
	if w.Done() {
		t.Error("we locked what redislock holds")
	}
	if err := their.Release(t.Context()); err != nil {
		t.Error(err)
	}
	l = w.Lease(10 * time.Second)
	if err := their.Release(t.Context()); !errors.Is(err, redislock.ErrLockNotHeld) {
		t.Errorf("redislock released what we hold: %v", err)
	}
	clients.Release(t, l)
	s.Clean(t, name)
}
