package line_test

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlatch/redlatch/core"
)

// alias is a server under a second address.
type alias struct{ *server }

// unreachable is a server's second address, which does not work before a time.
type unreachable struct {
	alias
	until time.Time
}

func (u *unreachable) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	if time.Now().Before(u.until) {
		return nil, errors.New("connection refused")
	}
	return u.alias.EvalSha(ctx, sha1, keys, args)
}

func TestSameServerTwiceIsRefused(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(2)
		ss[1].on("acquire", after(0, time.Millisecond)) // before it the others prove nothing
		l, err := lockOn([]core.Scripter{ss[0], ss[1], alias{ss[0]}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.TryLock(t.Context())
		if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "nodes 0 and 2") && !strings.Contains(err.Error(), "nodes 2 and 0") {
			t.Errorf("got %v, want %v and both nodes named", err, core.ErrInvalid)
		}
	})
}

// The first call that can know of it says so, and every later one, whoever has answered
// first.
func TestSameServerTwiceIsRefusedFromThenOn(t *testing.T) {
	for _, tt := range []struct {
		name  string
		nodes func(ss []*server) []core.Scripter
	}{
		{"a, a", func(ss []*server) []core.Scripter { return []core.Scripter{ss[0], alias{ss[0]}} }},
		{"a, b, a", func(ss []*server) []core.Scripter { return []core.Scripter{ss[0], ss[1], alias{ss[0]}} }},
		{"a, b, a, c, c", func(ss []*server) []core.Scripter {
			return []core.Scripter{ss[0], ss[1], alias{ss[0]}, ss[2], alias{ss[2]}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ss := servers(3)
				for _, s := range ss {
					s.onAll(after(time.Millisecond, time.Millisecond))
				}
				ss[0].on("probe", after(3*time.Millisecond, time.Millisecond))
				l, err := lockOn(tt.nodes(ss), nil)
				if err != nil {
					t.Fatal(err)
				}
				said := ""
				for i := range 50 {
					lease, err := l.TryLock(t.Context())
					if lease != nil {
						free(t, lease)
					}
					if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "are the same server") {
						t.Fatalf("call %d: got %v, want %v", i, err, core.ErrInvalid)
					}
					if said == "" {
						said = err.Error()
					}
					if err.Error() != said {
						t.Errorf("call %d: got %q, want %q as the first", i, err, said)
					}
				}
			})
		})
	}
}

// A set's first call waits for a server that has not proven itself only a moment.
func TestFirstCallDoesNotWaitForASilentNode(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		ss[2].onAll(silent)
		l := mutex(t, ss, nil)
		for i, want := range []time.Duration{10 * time.Millisecond, 0} {
			began := time.Now()
			lease := take(t, l)
			if took := time.Since(began); took != want {
				t.Errorf("call %d took %v, want %v", i, took, want)
			}
			free(t, lease)
		}
	})
}

// A server given twice does not make a majority with another one down, at no speed of
// its probe.
func TestSameServerTwiceIsNoMajority(t *testing.T) {
	for _, slow := range []time.Duration{0, time.Second, time.Hour} {
		virtual(t, func(t *testing.T) {
			ss := servers(2)
			ss[0].on("probe", after(0, slow))
			ss[1].onAll(failing)
			l, err := lockOn([]core.Scripter{ss[0], ss[1], alias{ss[0]}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if lease, err := l.TryLock(t.Context()); err == nil {
				t.Errorf("probe after %v: one server made the majority of %q", slow, lease.Name())
			}
			time.Sleep(time.Hour)
		})
	}
}

// A node that is verified late, when the marks of the others have expired, makes these
// prove themselves again.
func TestSameServerIsFoundLate(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(2)
		for _, s := range ss {
			s.onAll(after(time.Millisecond, time.Millisecond))
		}
		down := &unreachable{alias: alias{ss[0]}, until: time.Now().Add(5 * time.Minute)}
		l, err := lockOn([]core.Scripter{ss[0], ss[1], down}, nil)
		if err != nil {
			t.Fatal(err)
		}
		free(t, take(t, l)) // two nodes, which are two servers
		time.Sleep(10 * time.Minute)
		ss[1].onAll(failing)
		for range 3 {
			if lease, err := l.TryLock(t.Context()); err == nil {
				t.Fatalf("one server made the majority of %q", lease.Name())
			}
			time.Sleep(time.Second)
		}
		if _, err := l.TryLock(t.Context()); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("got %v, want %v", err, core.ErrInvalid)
		}
	})
}

// The same, where the late one's probe takes so long that the others' marks have expired
// only on its way.
func TestSameServerIsFoundByASlowProbe(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(2)
		for _, s := range ss {
			s.onAll(after(time.Millisecond, time.Millisecond))
		}
		down := &unreachable{alias: alias{ss[0]}, until: time.Now().Add(40 * time.Second)}
		l, err := lockOn([]core.Scripter{ss[0], ss[1], down}, nil)
		if err != nil {
			t.Fatal(err)
		}
		free(t, take(t, l)) // two nodes, which are two servers
		time.Sleep(45 * time.Second)
		probes := len(ss[0].seen("probe"))
		ss[0].on("probe", func(c *call) ([]int64, error) {
			if len(ss[0].seen("probe")) == probes+1 {
				time.Sleep(16 * time.Second)
			}
			return c.run(), nil
		})
		free(t, take(t, l)) // begins the probe of the third
		time.Sleep(20 * time.Second)
		ss[1].onAll(failing)
		for range 3 {
			if lease, err := l.TryLock(t.Context()); err == nil {
				t.Fatalf("one server made the majority of %q", lease.Name())
			}
			time.Sleep(time.Second)
		}
	})
}

// A probe whose answer comes when its mark has gone proves nothing: the other address of
// the server may have been verified meanwhile.
func TestSameServerIsFoundByALateAnswer(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(2)
		first := &unreachable{alias: alias{ss[0]}}
		ss[0].on("probe", func(c *call) ([]int64, error) {
			reply := c.run()
			if c.token == 0 && len(ss[0].seen("probe")) == 1 {
				time.Sleep(100 * time.Second)
			}
			return reply, nil
		})
		down := &unreachable{alias: alias{ss[0]}, until: time.Now().Add(62 * time.Second)}
		l, err := lockOn([]core.Scripter{first, down, ss[1]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = l.TryLock(t.Context())
		time.Sleep(65*time.Second - window)
		free(t, take(t, l)) // the second address and the other server
		time.Sleep(40 * time.Second)
		ss[1].onAll(failing)
		for range 3 {
			if lease, err := l.TryLock(t.Context()); err == nil {
				t.Fatalf("one server made the majority of %q", lease.Name())
			}
			time.Sleep(time.Second)
		}
	})
}

// A node that comes late is of use at once.
func TestLateNodeCountsInItsFirstCall(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		down := &unreachable{alias: alias{ss[2]}, until: time.Now().Add(5 * time.Minute)}
		l, err := lockOn([]core.Scripter{ss[0], ss[1], down}, nil)
		if err != nil {
			t.Fatal(err)
		}
		free(t, take(t, l))
		time.Sleep(10 * time.Minute)
		ss[1].on("acquire", failing)
		free(t, take(t, l))
		if n := len(ss[0].seen("probe")); n != 2 {
			t.Errorf("node 0 was probed %d times, want once more when node 2 came", n)
		}
	})
}

// At most 64 calls that their callers have left are under way on a node, and one probe.
func TestAbandonedCallsAreBounded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(1)
		ss[0].onAll(after(20*time.Minute, 0))
		l := mutex(t, ss, nil)
		for range 200 {
			_, err := l.TryLock(t.Context())
			var node *core.NodeError
			if !errors.As(err, &node) {
				t.Fatalf("got %v, want a NodeError", err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		// The undo of an attempt and the next attempt may both be under way when the cap
		// is reached.
		if ss[0].most > 64+2+1 {
			t.Errorf("%d calls were under way at once, want 64, the last two callers', and one probe", ss[0].most)
		}
		if ss[0].most < 64 {
			t.Errorf("%d calls were under way at once: the cap was not reached", ss[0].most)
		}
		began := time.Now()
		for range 10 {
			_, err := l.TryLock(t.Context())
			if err == nil {
				t.Error("a lease from a node that is silent")
			}
		}
		if took := time.Since(began); took > window+window/32 {
			t.Errorf("10 attempts on a node that is over the cap took %v, want them to fail at once but for a probe", took)
		}
		ss[0].onAll(nil)
		time.Sleep(time.Hour)
		free(t, take(t, l)) // it recovers
	})
}

// The bound also holds where callers leave long before a call's time is up, or lock on a
// majority without the node.
func TestCallsThatAreLeftEarlyAreBounded(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		virtual(t, func(t *testing.T) {
			ss := servers(nodes)
			ss[0].onAll(silent)
			for _, s := range ss[1:] {
				s.onAll(after(time.Millisecond, time.Millisecond))
			}
			l := mutex(t, ss, &core.Options{Expiry: 10 * time.Minute, MinValidity: 5 * time.Minute})
			for range 1000 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				if lease, err := l.TryLock(ctx); err == nil {
					if err := lease.Release(ctx); err != nil {
						t.Errorf("Release: %v", err)
					}
				}
				cancel()
			}
			ss[0].onAll(nil)
			time.Sleep(30 * time.Minute)
			synctest.Wait()
			// What is younger than a node's patience does not count as abandoned.
			if most := ss[0].most; most < 64 || most > 64+2*100/4+1 {
				t.Errorf("%d nodes: %d calls were under way at one, want 64 and those of the last 100 ms", nodes, most)
			}
		})
	}
}

func TestNoGoroutineWhileIdle(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		lease := take(t, mutex(t, ss, nil))
		time.Sleep(cadence/2 + 500*time.Millisecond) // between two looks at the wall clock
		if left := others(); len(left) != 0 {
			t.Errorf("goroutines of an idle lease:\n%s", strings.Join(left, "\n\n"))
		}
		free(t, lease)
	})
}

// others returns the stacks of the goroutines of the caller's bubble, without the caller and those that
// run the bubble.
func others() (found []string) {
	buf := make([]byte, 1<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	bubble := regexp.MustCompile(`synctest bubble \d+\]`).FindString(stacks[0])
	for _, s := range stacks[1:] {
		if strings.Contains(s, bubble) && !strings.Contains(s, "testing/synctest.Test") {
			found = append(found, s)
		}
	}
	return found
}

// A Scripter's panic is an error of its node, also in the calls nobody waits for.
func TestScripterPanics(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ss := servers(3)
		l := mutex(t, ss, nil)
		lease := take(t, l)
		ss[2].onAll(func(*call) ([]int64, error) { panic("send on closed channel") })
		if err := lease.Release(t.Context()); err != nil {
			t.Errorf("Release with one of three nodes panicking: got %v, want none", err)
		}
		if ss[2].seen("release") == nil {
			t.Fatal("the panicking node was not asked")
		}
		for _, s := range ss {
			s.onAll(func(*call) ([]int64, error) { panic("send on closed channel") })
		}
		_, err := l.TryLock(t.Context())
		var failed *core.NodeError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "panicked: send on closed channel") {
			t.Errorf("TryLock: got %v, want a NodeError that tells of the panic", err)
		}
	})
}

// What a late answer says counts where the node has been verified, although the call's
// time is up, too: after a refusal nothing is left to be removed.
func TestLateRefusalIsHeard(t *testing.T) {
	virtual(t, func(t *testing.T) {
		for range 20 { // chance must not get it right
			ss := servers(3)
			ss[2].owner, ss[2].ends = "another", time.Now().Add(time.Hour)
			ss[2].on("acquire", after(2*window, 0))
			l, err := lockOn([]core.Scripter{ss[0], ss[1], ss[2]}, nil)
			if err != nil {
				t.Fatal(err)
			}
			free(t, take(t, l))
			time.Sleep(3 * window)
			if probes, removals := len(ss[2].seen("probe")), len(ss[2].seen("release")); probes != 1 || removals != 1 {
				t.Fatalf("got %d probes and %d removals, want 1 and 1, which was sent while the answer was awaited", probes, removals)
			}
		}
	})
}
