package line_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
)

// brief are options with a lease of 6 s, extended every 2 s, and a window of 600 ms.
var brief = &core.Options{Expiry: 6 * time.Second}

// held counts the leases that have not been lost.
func held(leases []*core.Lease) (n int) {
	for _, lease := range leases {
		if lease.Context().Err() == nil {
			n++
		}
	}
	return n
}

// A lease is kept where the node is back for two round trips before its deadline, however
// long it was away, and whether it refuses or is silent.
func TestOutageThatEndsBeforeTheDeadline(t *testing.T) {
	const way = 5 * time.Millisecond
	for _, left := range []time.Duration{4 * way, 100 * time.Millisecond, time.Second} {
		for range 20 { // chance must not get it right
			virtual(t, func(t *testing.T) {
				m := newMany(way)
				_, locks := crowd(t, 1, brief, m)
				began := time.Now()
				lease := take(t, locks[0])
				m.stop(true)
				deadline := lease.ValidUntil()
				time.Sleep(time.Until(deadline) - left)
				if len(m.asked("extend")) == 0 {
					t.Fatal("nothing was extended during the outage")
				}
				m.stop(false)
				time.Sleep(left)
				synctest.Wait()
				if lease.Context().Err() != nil {
					t.Fatalf("the node was back %v before the deadline, %v after the grant, and the lease is lost", left, deadline.Sub(began)-left)
				}
				if n := len(m.asked("extend")); n > 100 {
					t.Errorf("%d extensions of one lease were sent", n)
				}
				free(t, lease)
			})
		}
	}
}

// A first failure may say nothing about the node: the extension is tried again at once.
func TestFirstRetryComesAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		lease := take(t, mutex(t, []*server{s}, nil))
		began := time.Now()
		s.on("extend", func(c *call) ([]int64, error) {
			if len(s.seen("extend")) == 1 {
				return nil, errors.New("broken pipe")
			}
			return c.run(), nil
		})
		time.Sleep(cadence + 10*time.Millisecond)
		synctest.Wait()
		calls := s.seen("extend")
		if len(calls) != 2 {
			t.Fatalf("%d extensions were sent, want 2", len(calls))
		}
		if pause := calls[1].at.Sub(calls[0].at); pause < time.Millisecond || pause > 5*time.Millisecond {
			t.Errorf("the first retry came after %v, want 3ms or so", pause)
		}
		validUntil(t, lease, began.Add(calls[1].at.Sub(began)+worth), "the retry's answer did not count")
		free(t, lease)
	})
}

// Many leases of a failing node ask it one at a time, and when it is back as many at a time
// as at other times, those with the nearest deadlines first: no lease is lost.
func TestOutageOfManyLeases(t *testing.T) {
	for _, outage := range []time.Duration{2 * time.Second, 3 * time.Second, 3900 * time.Millisecond} {
		virtual(t, func(t *testing.T) {
			const count = 2 * room
			m := newMany(0)
			_, locks := crowd(t, count, brief, m)
			leases := takeAll(t, locks)
			m.slow(5 * time.Millisecond)
			time.Sleep(2500 * time.Millisecond) // every lease has been extended
			m.stop(true)
			before := len(m.asked("extend"))
			time.Sleep(outage)
			if held(leases) != count {
				t.Fatalf("outage of %v: %d leases are lost before it ended", outage, count-held(leases))
			}
			tried := len(m.asked("extend")) - before
			if most := int(outage/(time.Millisecond)) + 100; tried > most || tried < 100 {
				t.Errorf("outage of %v: %d extensions were tried, want 100 to %d", outage, tried, most)
			}
			m.peak("extend")
			m.stop(false)
			time.Sleep(time.Until(leases[0].ValidUntil()) + 4*time.Second)
			synctest.Wait()
			if n := count - held(leases); n != 0 {
				t.Errorf("outage of %v: %d of %d leases are lost", outage, n, count)
			}
			if most := m.peak("extend"); most > room {
				t.Errorf("outage of %v: %d extensions were under way at a time, want %d at most", outage, most, room)
			}
			for _, lease := range leases {
				free(t, lease)
			}
		})
	}
}

// When a node is back the leases with the nearest deadlines come first: of those that are
// lost by waiting for the others, none is.
func TestNearestDeadlineGoesFirst(t *testing.T) {
	virtual(t, func(t *testing.T) {
		m := newMany(0)
		_, locks := crowd(t, 5*room, brief, m)
		near := takeAll(t, locks[:room])
		time.Sleep(time.Second)
		far := takeAll(t, locks[room:])
		m.slow(50 * time.Millisecond)
		m.stop(true)
		time.Sleep(time.Until(near[0].ValidUntil()) - 300*time.Millisecond) // two round trips are left when it is known
		m.stop(false)
		before := len(m.asked("extend"))
		time.Sleep(2 * time.Second)
		if n := len(near) - held(near); n != 0 {
			t.Errorf("%d of the %d leases with the nearest deadline are lost", n, len(near))
		}
		if n := len(far) - held(far); n != 0 {
			t.Errorf("%d of the %d other leases are lost", n, len(far))
		}
		if n := len(m.asked("extend")) - before; n < len(locks) {
			t.Errorf("%d extensions were sent when the node was back, want one of each of %d leases", n, len(locks))
		}
		for _, lease := range slices.Concat(near, far) {
			_ = lease.Release(t.Context())
		}
	})
}

// Of a node that hangs, few extensions are under way, whatever the number of leases.
func TestHungNodeIsProbed(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const count = room
		nodes := []*many{newMany(0), newMany(0), newMany(0)}
		_, locks := crowd(t, count, brief, nodes...)
		leases := takeAll(t, locks)
		nodes[2].hang(true)
		time.Sleep(6 * time.Second) // it is known to fail
		nodes[2].peak("extend")
		time.Sleep(20 * time.Second)
		if most := nodes[2].peak("extend"); most < 2 || most > 64 {
			t.Errorf("%d extensions were under way at a node that hangs, want a few", most)
		}
		if n := count - held(leases); n != 0 {
			t.Errorf("%d of %d leases are lost, with one of three nodes", n, count)
		}
		nodes[2].hang(false)
		for _, lease := range leases {
			free(t, lease)
		}
	})
}

// Where some keys of a node fail, as with a part of a cluster, the leases of the others are
// not held up until they are lost, though those that fail have the nearer deadlines.
func TestFailingKeysHoldUpNoOthers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const lame, sound = 900, 100 // more than are probed in the longest pause
		m := newMany(5 * time.Millisecond)
		_, locks := crowd(t, lame+sound, brief, m)
		fail := takeAll(t, locks[:lame])
		time.Sleep(5 * time.Millisecond)
		live := takeAll(t, locks[lame:])
		m.mu.Lock()
		m.lame = func(name string) bool { return len(name) < 3 || name < "900" }
		m.mu.Unlock()
		time.Sleep(12 * time.Second)
		if n := held(fail); n != 0 {
			t.Errorf("%d leases are held whose keys fail", n)
		}
		if n := sound - held(live); n != 0 {
			t.Errorf("%d of %d leases are lost whose keys do not fail", n, sound)
		}
		for _, lease := range live {
			free(t, lease)
		}
	})
}

// Of a client that minds no context more calls may hang than are sent at a time: what waits
// behind them is refused then, and Release returns.
func TestReleaseBehindCallsThatHang(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const count = room + 100
		m := newMany(0)
		m.deaf = true
		_, locks := crowd(t, count, brief, m)
		leases := takeAll(t, locks)
		m.hang(true)
		began := time.Now()
		var wg sync.WaitGroup
		for _, lease := range leases {
			wg.Go(func() {
				if err := lease.Release(t.Context()); err == nil {
					t.Error("a node that hangs has confirmed a release")
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("Release took %v, want two windows of 600ms at most, and a moment", took)
				}
			})
		}
		wg.Wait()
		if most := m.peak("release"); most < room {
			t.Errorf("%d releases were under way, want %d", most, room)
		}
		m.hang(false)
	})
}
