package sim_test

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/sim"
	"github.com/redlatch/redlatch/tests/testkit"
)

func one(seed uint64) sim.Config { return sim.Config{Seed: seed, Nodes: 1, Clients: 1} }

// eval runs a script over a link and fails the test on an error.
func eval(t *testing.T, s core.Scripter, source string, key string, args ...string) []int64 {
	t.Helper()
	reply, err := s.Eval(t.Context(), source, []string{key}, args)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return reply
}

const (
	set    = `redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return {1}`
	exists = `return {redis.call('EXISTS', KEYS[1])}`
	pttl   = `return {redis.call('PTTL', KEYS[1])}`
	clock  = `local t = redis.call('TIME') return {t[1] * 1000000 + t[2]}`
	incr   = `return {redis.call('INCR', KEYS[1])}`
	shout  = `redis.call('PUBLISH', KEYS[1], ARGV[1]) return {1}`
)

func TestKeysExpireToTheMillisecond(t *testing.T) {
	testkit.Bubble(t, one(1), func(t *testing.T, c *sim.Cluster, _ *sim.Stats) {
		n := c.Nodes[0]
		if _, err := n.Command("SET", "k", "v", "PX", "30000"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29999 * time.Millisecond)
		if got, _ := n.Command("EXISTS", "k"); got != 1 {
			t.Errorf("1 ms before: got EXISTS %v, want 1", got)
		}
		if got := eval(t, c.Clients[0].Link(0), `redis.call('SET', KEYS[1], '', 'PX', 1000) return {redis.call('PTTL', KEYS[1])}`, "other"); got[0] != 1000 {
			t.Errorf("got PTTL %v, want 1000", got)
		}
		time.Sleep(time.Millisecond)
		if got, _ := n.Command("EXISTS", "k"); got != 0 {
			t.Errorf("at the end: got EXISTS %v, want 0", got)
		}
	})
}

func TestNodeClocks(t *testing.T) {
	testkit.Bubble(t, one(2), func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		n, l := c.Nodes[0], c.Clients[0].Link(0)
		read := func() time.Duration {
			got := eval(t, l, clock, "k")[0]
			return time.Duration(got)*time.Microsecond - time.Duration(time.Now().UnixMicro())*time.Microsecond
		}
		near := func(what string, want time.Duration) {
			t.Helper()
			// The reply was on its way for at most a millisecond.
			if got := read(); got > want+time.Millisecond || got < want-time.Millisecond {
				t.Errorf("%s: got the clock ahead by %v, want %v", what, got, want)
			}
		}
		near("at first", 0)
		eval(t, l, set, "k", "v", "60000")
		n.Step(30 * time.Second)
		near("stepped", 30*time.Second)
		if got := eval(t, l, pttl, "k")[0]; got > 30000 || got < 29990 {
			t.Errorf("got PTTL %d after a step of half of it, want 30000", got)
		}
		n.Step(-30 * time.Second)
		if got := eval(t, l, pttl, "k")[0]; got > 60000 || got < 59980 {
			t.Errorf("got PTTL %d after the step back, want 60000", got)
		}
		n.SetRate(1.5)
		time.Sleep(20 * time.Second)
		near("fast", 10*time.Second)
		if got := eval(t, l, pttl, "k")[0]; got > 30000 || got < 29950 {
			t.Errorf("got PTTL %d on the fast clock, want 30000", got)
		}
		if stats.Faults(sim.NodeStepped) != 2 || stats.Faults(sim.NodeRate) != 1 {
			t.Errorf("got %d steps and %d rates counted", stats.Faults(sim.NodeStepped), stats.Faults(sim.NodeRate))
		}
	})
}

func TestCrashes(t *testing.T) {
	tests := []struct {
		name string
		keep sim.Keep
		want int64 // the counter after the restart
		kind sim.Fault
	}{
		{"all", sim.KeepAll, 20, sim.NodeCrashed},
		{"most", sim.KeepMost, 10, sim.NodeLostLast},
		{"nothing", sim.KeepNone, 0, sim.NodeLostAll},
	}
	for _, tt := range tests {
		config := one(3)
		config.LosesLast = true
		config.Far = 200 * time.Microsecond
		testkit.Bubble(t, config, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
			n, l := c.Nodes[0], c.Clients[0].Link(0)
			eval(t, l, `redis.call('ZADD', KEYS[1], 1.5, 'm') redis.call('PEXPIRE', KEYS[1], 100000) return {1}`, "z")
			eval(t, l, `redis.call('HSET', KEYS[1], 'f', 'v') return {1}`, "h")
			time.Sleep(3 * time.Second)
			for range 20 { // over two seconds
				eval(t, l, incr, "k")
				time.Sleep(100 * time.Millisecond)
			}
			sha := fmt.Sprintf("%x", sha1.Sum([]byte(incr)))
			if _, err := l.EvalSha(t.Context(), sha, []string{"other"}, nil); err != nil {
				t.Errorf("%s: the script is cached: %v", tt.name, err)
			}
			if err := n.Crash(tt.keep); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Eval(t.Context(), incr, []string{"k"}, nil); err == nil {
				t.Errorf("%s: a call reached a node that is down", tt.name)
			}
			time.Sleep(10 * time.Second)
			n.Restart(time.Second)
			if _, err := l.Eval(t.Context(), incr, []string{"k"}, nil); err == nil || !strings.HasPrefix(err.Error(), "LOADING") {
				t.Errorf("%s: got %v, want LOADING", tt.name, err)
			}
			time.Sleep(time.Second)
			if _, err := l.EvalSha(t.Context(), sha, []string{"k"}, nil); !errors.Is(err, core.ErrNoScript) {
				t.Errorf("%s: got %v after a restart, want ErrNoScript", tt.name, err)
			}
			got := eval(t, l, `return {tonumber(redis.call('GET', KEYS[1]) or 0), redis.call('PTTL', 'z'), redis.call('EXISTS', 'h')}`, "k")
			if d := got[0] - tt.want; d < 0 || d > 2 {
				t.Errorf("%s: got the counter at %d, want %d", tt.name, got[0], tt.want)
			}
			if kept := tt.keep != sim.KeepNone; (got[2] == 1) != kept || (got[1] > 83000 && got[1] < 85000) != kept {
				t.Errorf("%s: got PTTL %d and EXISTS %d", tt.name, got[1], got[2])
			}
			if stats.Faults(tt.kind) != 1 {
				t.Errorf("%s: got %d crashes counted, want 1", tt.name, stats.Faults(tt.kind))
			}
		})
	}
}

// noticed says whether a call that was to end after d took that long, and the moment that
// keeps those of one instant apart.
func noticed(took, d time.Duration) bool { return took >= d && took < d+time.Millisecond }

func TestPausedNodeExecutesLater(t *testing.T) {
	testkit.Bubble(t, one(4), func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		n, cl := c.Nodes[0], c.Clients[0]
		cl.ReadTimeout = time.Second
		n.Pause()
		before := time.Now()
		if _, err := cl.Link(0).Eval(t.Context(), incr, []string{"k"}, nil); err == nil || !noticed(time.Since(before), time.Second) {
			t.Errorf("got %v after %v, want a timeout after 1 s", err, time.Since(before))
		}
		n.Resume()
		time.Sleep(time.Second)
		if got, _ := n.Command("GET", "k"); got != "1" {
			t.Errorf("got %v, want the abandoned call executed", got)
		}
		if stats.Faults(sim.NodePaused) != 1 {
			t.Errorf("got %d pauses counted, want 1", stats.Faults(sim.NodePaused))
		}
	})
}

func TestContextEndsCallWhereHonoured(t *testing.T) {
	for _, honours := range []bool{true, false} {
		testkit.Bubble(t, one(5), func(t *testing.T, c *sim.Cluster, _ *sim.Stats) {
			cl := c.Clients[0]
			cl.HonoursCtx, cl.ReadTimeout = honours, 3*time.Second
			c.SetFaults(&sim.Faults{RequestLost: 1})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			before := time.Now()
			_, err := cl.Link(0).Eval(ctx, incr, []string{"k"}, nil)
			want := map[bool]time.Duration{true: time.Second, false: 3 * time.Second}[honours]
			if err == nil || !noticed(time.Since(before), want) {
				t.Errorf("honours %v: got %v after %v, want an error after %v", honours, err, time.Since(before), want)
			}
		})
	}
}

// TestCallFaults makes each fault certain and looks at what the client hears
// and how often the script ran.
func TestCallFaults(t *testing.T) {
	tests := []struct {
		fault  sim.Fault
		faults sim.Faults
		fails  bool
		runs   string
	}{
		{sim.RequestLost, sim.Faults{RequestLost: 1}, true, ""},
		{sim.ReplyLost, sim.Faults{ReplyLost: 1}, true, "1"},
		{sim.ResetBefore, sim.Faults{ResetBefore: 1}, true, ""},
		{sim.ResetAfter, sim.Faults{ResetAfter: 1}, true, "1"},
		{sim.Delayed, sim.Faults{Delayed: 1, MaxDelay: 500 * time.Millisecond}, false, "1"},
		{sim.Resent, sim.Faults{Resent: 1}, false, "2"},
		{sim.LateOriginal, sim.Faults{LateOriginal: 1, MaxDelay: 500 * time.Millisecond}, false, "2"},
		{sim.ErrorReply, sim.Faults{ErrorReply: 1}, true, ""},
	}
	for i, tt := range tests {
		testkit.Bubble(t, one(uint64(100+i)), func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
			c.SetFaults(&tt.faults)
			_, err := c.Clients[0].Link(0).Eval(t.Context(), incr, []string{"k"}, nil)
			if (err != nil) != tt.fails {
				t.Errorf("%v: got %v, want an error: %v", tt.fault, err, tt.fails)
			}
			time.Sleep(10 * time.Second)
			if got, _ := c.Nodes[0].Command("GET", "k"); fmt.Sprint(got) != tt.runs && !(got == nil && tt.runs == "") {
				t.Errorf("%v: got the counter at %v, want %q", tt.fault, got, tt.runs)
			}
			if stats.Faults(tt.fault) != 1 || stats.AllFaults() != 1 {
				t.Errorf("%v: got counted\n%s", tt.fault, stats.FaultTable())
			}
		})
	}
}

func TestCutLink(t *testing.T) {
	testkit.Bubble(t, sim.Config{Seed: 7, Nodes: 2, Clients: 2}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		c.Clients[0].Link(0).Cut(true)
		if _, err := c.Clients[0].Link(0).Eval(t.Context(), incr, []string{"k"}, nil); err == nil {
			t.Error("got an answer over a cut link")
		}
		eval(t, c.Clients[0].Link(1), incr, "k")
		eval(t, c.Clients[1].Link(0), incr, "k")
		c.Heal()
		if got := eval(t, c.Clients[0].Link(0), incr, "k")[0]; got != 2 {
			t.Errorf("got %d, want 2: the lost call did not run", got)
		}
		if stats.Faults(sim.LinkCut) != 1 {
			t.Errorf("got %d cuts counted, want 1", stats.Faults(sim.LinkCut))
		}
	})
}

func TestPausedAndKilledClients(t *testing.T) {
	testkit.Bubble(t, sim.Config{Seed: 8, Nodes: 1, Clients: 2}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
		cl := c.Clients[0]
		cl.Pause(true)
		wall, before := cl.Wall.Now(), time.Now()
		time.AfterFunc(10*time.Second, func() {
			if got := cl.Wall.Now(); !got.Equal(wall) {
				t.Errorf("got the wall clock of a stalled client at %v, want %v", got, wall)
			}
			cl.Resume()
		})
		eval(t, cl.Link(0), incr, "k")
		if d := time.Since(before); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("got an answer after %v, want it after the pause", d)
		}
		if got := cl.Wall.Now().Sub(wall); got != time.Since(before) {
			t.Errorf("got the wall clock %v further, want %v", got, time.Since(before))
		}
		cl.Kill()
		if _, err := cl.Link(0).Eval(t.Context(), incr, []string{"k"}, nil); err == nil {
			t.Error("got an answer to a killed client")
		}
		if got := eval(t, c.Clients[1].Link(0), incr, "k")[0]; got != 2 {
			t.Errorf("got %d, want 2: a killed client sends nothing", got)
		}
		if stats.Faults(sim.ClientPaused) != 1 || stats.Faults(sim.ClientKilled) != 1 {
			t.Errorf("got counted\n%s", stats.FaultTable())
		}
	})
}

func TestUptimeInScripts(t *testing.T) {
	testkit.Bubble(t, one(9), func(t *testing.T, c *sim.Cluster, _ *sim.Stats) {
		const uptime = `return {tonumber(string.match(redis.pcall('INFO', 'server'), 'uptime_in_seconds:(%d+)'))}`
		time.Sleep(100 * time.Second)
		if got := eval(t, c.Clients[0].Link(0), uptime, "k")[0]; got != 100 {
			t.Errorf("got an uptime of %d s, want 100", got)
		}
		if err := c.Nodes[0].Crash(sim.KeepAll); err != nil {
			t.Fatal(err)
		}
		c.Nodes[0].Restart(0)
		time.Sleep(5 * time.Second)
		if got := eval(t, c.Clients[0].Link(0), uptime, "k")[0]; got != 5 {
			t.Errorf("got an uptime of %d s after a restart, want 5", got)
		}
	})
}

func TestOtherRepliesAreErrors(t *testing.T) {
	testkit.Bubble(t, one(10), func(t *testing.T, c *sim.Cluster, _ *sim.Stats) {
		for _, source := range []string{`return 1`, `return 'x'`, `return nil`, `return {'1'}`, `return {{1}}`, `return {1, 'x'}`, `return redis.error_reply('OOM x')`, `syntax error`} {
			if got, err := c.Clients[0].Link(0).Eval(t.Context(), source, []string{"k"}, nil); err == nil {
				t.Errorf("%s: got %v, want an error", source, got)
			}
		}
		if got := eval(t, c.Clients[0].Link(0), `return {}`, "k"); len(got) != 0 {
			t.Errorf("got %v, want an empty array", got)
		}
	})
}

// TestOneSeedOneRun has clients contend over a bad network and compares the
// digests of two runs.
func TestOneSeedOneRun(t *testing.T) {
	run := func(seed uint64) (trace uint64, faults int64) {
		testkit.Bubble(t, sim.Config{Seed: seed, Nodes: 3, Clients: 5, ClockSpread: time.Hour}, func(t *testing.T, c *sim.Cluster, stats *sim.Stats) {
			c.SetFaults(&sim.Faults{
				RequestLost: 0.05, ReplyLost: 0.05, ResetBefore: 0.05, ResetAfter: 0.05, Delayed: 0.1, Resent: 0.05,
				LateOriginal: 0.05, ErrorReply: 0.05, MaxDelay: time.Second,
			})
			for _, cl := range c.Clients {
				for i, n := range cl.Nodes() {
					go func() {
						for range 50 {
							n.Eval(t.Context(), incr, []string{fmt.Sprint("k", i)}, nil)
						}
					}()
				}
			}
			time.Sleep(10 * time.Minute)
			trace, faults = c.Trace(), stats.AllFaults()
		})
		return trace, faults
	}
	first, faults := run(11)
	again, _ := run(11)
	other, _ := run(12)
	if first != again {
		t.Errorf("got the traces %x and %x of one seed", first, again)
	}
	if first == other {
		t.Error("got one trace of two seeds")
	}
	if faults < 200 {
		t.Errorf("got %d faults, want hundreds", faults)
	}
}
