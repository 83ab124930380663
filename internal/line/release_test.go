package line_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/line"
)

// A release that fails is tried again, however long ago the lock was taken.
func TestReleaseOfAnOldLeaseIsTriedAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		lease := take(t, mutex(t, []*server{s}, nil))
		time.Sleep(10 * expiry)
		s.on("release", func(c *call) ([]int64, error) {
			if len(s.seen("release")) == 1 {
				return nil, errors.New("connection reset by peer")
			}
			return c.run(), nil
		})
		began := time.Now()
		free(t, lease)
		if took := time.Since(began); took == 0 || took > time.Second {
			t.Errorf("Release took %v, want as long as it takes to try again", took)
		}
		if s.holder() != "" {
			t.Error("the hold still stands")
		}
	})
}

// A node that says "another's" late, when the hold has been put back there, has it all
// the same: it is released there, too.
func TestReleaseAsksANodeThatHasItAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		lease := take(t, mutex(t, ss, nil))
		ss[1].on("extend", func(c *call) ([]int64, error) {
			switch len(ss[1].seen("extend")) {
			case 1: // answered when the next one has been
				time.Sleep(window + time.Second)
				return []int64{-1, time.Now().UnixMicro()}, nil
			case 2:
				ss[1].forget()
			}
			return c.run(), nil
		})
		time.Sleep(2*cadence + 2*window)
		if len(ss[1].seen("repair")) != 1 || len(ss[1].seen("extend")) < 3 || ss[1].holder() == "" {
			t.Fatalf("node 1: %d extensions and %d repairs, and the hold of %q", len(ss[1].seen("extend")), len(ss[1].seen("repair")), ss[1].holder())
		}
		free(t, lease)
		time.Sleep(time.Second)
		if ss[1].holder() != "" {
			t.Error("the hold stands on the node that said another had it")
		}
	})
}

// A Release beside another one waits for it and returns the same, also in virtual time,
// which stands still for whoever waits on a mutex.
func TestReleasesAtOnce(t *testing.T) {
	for name, kind := range map[string]func(*line.Lock) (*core.Lease, error){
		"one lock": func(l *line.Lock) (*core.Lease, error) { return l.Lock(context.Background()) },
		"LockAll":  func(l *line.Lock) (*core.Lease, error) { return core.LockAll(context.Background(), l) },
	} {
		virtual(t, func(t *testing.T) {
			s := servers(1)[0]
			lease, err := kind(mutex(t, []*server{s}, nil))
			if err != nil {
				t.Fatal(err)
			}
			s.on("release", func(c *call) ([]int64, error) {
				time.Sleep(time.Second)
				return failing(c)
			})
			errs := make(chan error, 2)
			began := time.Now()
			for range 2 {
				go func() { errs <- lease.Release(context.Background()) }()
			}
			first, second := <-errs, <-errs
			if took := time.Since(began); took < time.Second {
				t.Errorf("%s: both were back after %v, the release takes longer", name, took)
			}
			if first == nil || second == nil || first.Error() != second.Error() {
				t.Errorf("%s: got %v and %v, want the same failure", name, first, second)
			}
		})
	}
}

// A release that failed, and waits to be tried again, is tried by Close: the node may be
// back.
func TestCloseTriesReleasesAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		set, l := closable(t, s, nil)
		lease := take(t, l)
		s.on("release", failing)
		if err := lease.Release(t.Context()); err == nil {
			t.Error("Release says nothing of the node's failure")
		}
		s.on("release", nil)
		if err := set.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if s.holder() != "" {
			t.Error("the hold still stands")
		}
	})
}

// Releases that are waited for are not abandoned, however many are slow together.
func TestAwaitedReleasesAreNotAbandoned(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := servers(1)[0]
		set, err := line.NewGroup([]core.Scripter{s}, nil)
		if err != nil {
			t.Fatal(err)
		}
		const leases = 100
		errs := make(chan error)
		s.on("release", after(0, time.Second))
		for range leases {
			l := set.Lock("m", handMade)
			lease := take(t, l)
			s.forget() // one server plays one name
			go func() { errs <- lease.Release(t.Context()) }()
		}
		time.Sleep(500 * time.Millisecond)
		s.on("acquire", after(10*time.Millisecond, 0))
		for range 3 { // a node with too many abandoned calls is asked one at a time
			l := set.Lock("m", handMade)
			go func() {
				_, err := l.TryLock(t.Context())
				if errors.Is(err, core.ErrNotAcquired) || err != nil && strings.Contains(err.Error(), "it refused") { // one server plays one name
					err = nil
				}
				errs <- err
			}()
		}
		for range leases + 3 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

// A lease that has ended is not valid any more.
func TestValidUntilOfALeaseThatHasEnded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		l := mutex(t, ss, nil)
		released := take(t, l)
		time.Sleep(time.Second)
		free(t, released)
		validUntil(t, released, time.Now(), "it was released now")

		lost := take(t, l)
		for _, s := range ss {
			s.forget()
		}
		<-lost.Lost()
		validUntil(t, lost, time.Now(), "it was lost now")
	})
}

// An answer that denies the hold counts, even if a later call has been answered before: the
// node may have served the two in either order.
func TestDenialThatComesLate(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		lease := take(t, mutex(t, ss, nil))
		began := time.Now()
		for _, s := range ss[1:] {
			s.on("extend", func(c *call) ([]int64, error) {
				switch len(s.seen("extend")) {
				case 1: // resent by the client, and served when the hold had gone
					time.Sleep(window + 2*time.Second)
					return []int64{0, time.Now().UnixMicro()}, nil
				case 2:
					return c.run(), nil
				}
				return silent(c)
			})
		}
		lostAt(t, lease, began.Add(cadence+window+2*time.Second), "a majority has denied it")
	})
}

// A TryLock whose grant arrives as the provider is closed gives it back before Close
// returns.
func TestCloseWaitsForTryLock(t *testing.T) {
	for range 50 {
		virtual(t, func(t *testing.T) {
			s := servers(1)[0]
			s.on("acquire", after(0, time.Millisecond))
			set, l := closable(t, s, nil)
			go func() { _, _ = l.TryLock(t.Context()) }()
			time.Sleep(time.Millisecond) // the grant arrives at this instant
			_ = set.Close()
			if s.holder() != "" {
				t.Fatal("the hold stands when Close has returned")
			}
		})
	}
}

// Waiters leave while their node is away: of many programs with one ticket each, and of one
// with many. What they have in line there goes when the node is back, and not by pauses that
// have grown meanwhile.
func TestTicketsGoWhenTheNodeIsBack(t *testing.T) {
	const (
		tickets = 24
		away    = 1500 * time.Millisecond
	)
	for name, programs := range map[string]int{"of one program": 1, "of many": tickets} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				s := servers(1)[0]
				s.seize(time.Hour)
				var locks []*line.Lock
				for range programs {
					set, err := setOf([]*server{s})
					if err != nil {
						t.Fatal(err)
					}
					for i := range tickets / programs {
						locks = append(locks, set.Lock(strconv.Itoa(i), handMade))
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				var waiters sync.WaitGroup
				for _, l := range locks {
					waiters.Go(func() {
						if _, err := l.Lock(ctx); !errors.Is(err, context.Canceled) {
							t.Errorf("got %v, want %v", err, context.Canceled)
						}
					})
				}
				time.Sleep(time.Second)
				s.onAll(func(c *call) ([]int64, error) { // so late that not all can find out by themselves
					time.Sleep(20 * time.Millisecond)
					return failing(c)
				})
				gone := time.Now()
				cancel()
				waiters.Wait()
				time.Sleep(away - time.Since(gone))
				if len(s.seen("release")) < tickets {
					t.Errorf("%d withdrawals were tried while the node was away", len(s.seen("release")))
				}
				s.onAll(nil)
				tried := len(s.seen("release"))
				time.Sleep(150 * time.Millisecond)
				owners := map[string]bool{}
				for _, c := range s.seen("release")[tried:] {
					owners[c.owner] = true
				}
				if len(owners) != tickets {
					t.Errorf("%d of %d tickets were withdrawn 150 ms after the node was back", len(owners), tickets)
				}
			})
		})
	}
}
