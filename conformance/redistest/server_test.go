package redistest_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
)

// TestFaults breaks one server of three in every way, on every kind.
func TestFaults(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind redistest.Kind) {
		servers := redistest.Start(t, 3, &redistest.Config{Kind: kind, AppendOnly: true})
		if len(servers) != 3 {
			t.Fatalf("got %d servers, want 3", len(servers))
		}
		seen := make(map[string]bool)
		for _, s := range servers {
			host, _, err := net.SplitHostPort(s.Addr())
			if err != nil || !net.ParseIP(host).IsLoopback() {
				t.Errorf("%s: want a loopback address", s.Addr())
			}
			if s.Kind() != kind {
				t.Errorf("kind: got %s, want %s", s.Kind(), kind)
			}
			if seen[s.Addr()] {
				t.Errorf("%s twice", s.Addr())
			}
			seen[s.Addr()] = true
			want(t, "SET", do(t, s.Addr(), "SET", "where", s.Addr()), "+OK")
		}
		for _, s := range servers {
			want(t, "GET where", do(t, s.Addr(), "GET", "where"), s.Addr())
		}
		s := servers[1]

		t.Log("paused: connects, hangs, then answers what was sent")
		before, err := dial(s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer before.Close()
		redistest.Do(t, s.Pause)
		redistest.Do(t, s.Pause) // stays paused
		during, err := dial(s.Addr())
		if err != nil {
			t.Fatalf("a paused server does not accept: %v", err)
		}
		defer during.Close()
		for _, c := range []*conn{before, during} {
			if got, err := c.do(200*time.Millisecond, "PING"); !isTimeout(err) {
				t.Errorf("PING to a paused server: got %q, %v, want a timeout", got, err)
			}
		}
		want(t, "PING to a neighbour", do(t, servers[0].Addr(), "PING"), "+PONG")
		redistest.Do(t, s.Resume)
		redistest.Do(t, s.Resume)
		for _, c := range []*conn{before, during} {
			got, err := c.reply(5 * time.Second)
			if err != nil {
				t.Fatalf("after Resume: %v", err)
			}
			want(t, "reply after Resume", got, "+PONG")
		}

		t.Log("killed: refuses, then is back with its data")
		redistest.Do(t, s.Kill)
		redistest.Do(t, s.Kill)
		wantRefused(t, s.Addr())
		if got, err := before.do(5*time.Second, "PING"); err == nil || isTimeout(err) {
			t.Errorf("PING on a connection to a killed server: got %q, %v, want a broken connection", got, err)
		}
		if err := s.Pause(t.Context()); err == nil {
			t.Error("Pause of a killed server: want an error")
		}
		redistest.Do(t, s.Restart)
		want(t, "GET where after Restart", do(t, s.Addr(), "GET", "where"), s.Addr())

		t.Log("killed while paused: what waited is not executed")
		redistest.Do(t, s.Pause)
		waiting, err := dial(s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer waiting.Close()
		if err := waiting.send("SET", "where", "late"); err != nil {
			t.Fatal(err)
		}
		redistest.Do(t, s.Kill)
		wantRefused(t, s.Addr())
		redistest.Do(t, s.Restart)
		want(t, "GET where after a kill in a pause", do(t, s.Addr(), "GET", "where"), s.Addr())

		t.Log("restarted while it runs, and empty")
		redistest.Do(t, s.RestartEmpty)
		want(t, "GET where after RestartEmpty", do(t, s.Addr(), "GET", "where"), "$-1")
		want(t, "SET after RestartEmpty", do(t, s.Addr(), "SET", "where", "again"), "+OK")
		redistest.Do(t, s.Restart)
		want(t, "GET where after the next Restart", do(t, s.Addr(), "GET", "where"), "again")
		want(t, "GET where of a neighbour", do(t, servers[2].Addr(), "GET", "where"), servers[2].Addr())

		if err := s.Kill(cancelled()); err == nil {
			t.Error("Kill with a cancelled context: want an error")
		}
		want(t, "PING after the Kill that was cancelled", do(t, s.Addr(), "PING"), "+PONG")
	})
}

// TestAppendOnly crashes a server right after a burst of writes: whatever it has
// answered is there afterwards. The burst comes after a second of rest, so that a
// server that syncs once a second would do so just then.
func TestAppendOnly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind redistest.Kind) {
		s := redistest.Start(t, 1, &redistest.Config{Kind: kind, AppendOnly: true})[0]
		const writes = 200
		for round := range 3 {
			c, err := dial(s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if kind != redistest.Embedded { // it has nothing to sync
				if _, err := c.do(5*time.Second, "BLPOP", "nothing", "1.1"); err != nil {
					t.Fatal(err)
				}
			}
			for i := range writes {
				got, err := c.do(5*time.Second, "INCR", "n")
				if err != nil {
					t.Fatal(err)
				}
				if want := fmt.Sprint(":", round*writes+i+1); got != want {
					t.Fatalf("INCR: got %q, want %q", got, want)
				}
			}
			redistest.Do(t, s.Kill)
			c.Close()
			redistest.Do(t, s.Restart)
			want(t, "GET after Restart", do(t, s.Addr(), "GET", "n"), fmt.Sprint((round+1)*writes))
		}
	})
}

// TestNoPersistence shows that a restart loses all data unless AppendOnly is set.
func TestNoPersistence(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind redistest.Kind) {
		s := redistest.Start(t, 1, &redistest.Config{Kind: kind})[0]
		want(t, "SET", do(t, s.Addr(), "SET", "k", "v"), "+OK")
		redistest.Do(t, s.Restart)
		want(t, "GET after Restart", do(t, s.Addr(), "GET", "k"), "$-1")
	})
}

// TestExpiry shows that keys expire by themselves, on miniredis too.
func TestExpiry(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind redistest.Kind) {
		s := redistest.Start(t, 1, &redistest.Config{Kind: kind})[0]
		c, err := dial(s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		exists := func() bool {
			got, err := c.do(5*time.Second, "EXISTS", "k")
			if err != nil {
				t.Fatal(err)
			}
			return got == ":1"
		}
		want(t, "SET PX", do(t, s.Addr(), "SET", "k", "v", "PX", "100"), "+OK")
		start := time.Now()
		for exists() {
			if time.Since(start) > 10*time.Second {
				t.Fatal("a key with 100 ms to live is there after 10 s")
			}
		}
	})
}

// TestUptime reads INFO server from a script, as a restart guard does.
func TestUptime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind redistest.Kind) {
		s := redistest.Start(t, 1, &redistest.Config{Kind: kind})[0]
		got := do(t, s.Addr(), "EVAL", "return tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)')) < 60 and 1 or 0", "0")
		want(t, "uptime below a minute", got, ":1")
	})
}

// TestArgs shows that flags reach a real server.
func TestArgs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind redistest.Kind) {
		if kind == redistest.Embedded {
			return // miniredis takes no flags anywhere: that leaves nothing out
		}
		s := redistest.Start(t, 1, &redistest.Config{Kind: kind, Args: []string{"--requirepass", "secret"}})[0]
		want(t, "PING", do(t, s.Addr(), "PING"), "-NOAUTH Authentication required.")
		want(t, "AUTH", do(t, s.Addr(), "AUTH", "secret"), "+OK")
		_, err := redistest.Open(t.Context(), 1, &redistest.Config{Kind: kind, Args: []string{"--no-such-flag", "1"}})
		if err == nil {
			t.Error("an unknown flag: want the server's complaint as an error")
		} else {
			t.Log(err)
		}
	})
}
