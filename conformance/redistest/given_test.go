package redistest_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
)

// anyServers starts servers of the best kind there is, for tests that give their
// addresses away.
func anyServers(t *testing.T, n int) []*redistest.Server {
	t.Helper()
	t.Setenv("REDLATCH_ADDRS", "")
	t.Setenv("REDLATCH_IMAGE", "")
	t.Setenv("CI", "")
	return redistest.Start(t, n, nil)
}

// give makes these the given addresses.
func give(t *testing.T, addrs []string) {
	t.Helper()
	t.Setenv("REDLATCH_REQUIRED", "")
	t.Setenv("REDLATCH_SERVERS", "")
	t.Setenv("REDLATCH_ADDRS", strings.Join(addrs, " , "))
}

// TestGiven uses servers of somebody else: they serve, and cannot be broken.
func TestGiven(t *testing.T) {
	others := anyServers(t, 3)
	addrs := redistest.Addrs(others)
	give(t, addrs)
	g, err := redistest.Open(t.Context(), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if g.Kind() != redistest.Given || !slices.Equal(g.Addrs(), addrs[:2]) {
		t.Errorf("got %s, %v; want addrs, %v", g.Kind(), g.Addrs(), addrs[:2])
	}
	s := g.Servers()[0]
	if s.CanFault() {
		t.Error("CanFault of a given address: got true")
	}
	for name, fault := range faults(s) {
		if err := fault(t.Context()); !errors.Is(err, redistest.ErrUnsupported) {
			t.Errorf("%s of a given address: got %v, want ErrUnsupported", name, err)
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, "PING after Close", do(t, addrs[0], "PING"), "+PONG")

	if _, err := redistest.Open(t.Context(), 4, nil); err == nil || errors.Is(err, redistest.ErrUnsupported) {
		t.Errorf("4 of 3 addresses: got %v, want an error that is not a skip", err)
	}
	if _, err := redistest.Open(t.Context(), 0, nil); err == nil {
		t.Error("no servers at all: want an error")
	}
	_, err = redistest.Open(t.Context(), 1, &redistest.Config{Kind: redistest.Given, Image: "redis-1.0"})
	wantUnsupported(t, err)
	_, err = redistest.OpenCluster(t.Context(), &redistest.Config{Kind: redistest.Given})
	wantUnsupported(t, err)
}

// TestLeaveOut shows that what cannot be done is skipped and reported.
func TestLeaveOut(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report")
	others := anyServers(t, 1)
	t.Setenv("REDLATCH_REPORT", report)
	if line, err := redistest.Summary(report); line != "" || err != nil {
		t.Errorf("Summary of no report: got %q, %v", line, err)
	}
	skipped := make(map[string]bool)
	sub := func(name string, test func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			defer func() { skipped[name] = t.Skipped() }()
			test(t)
		})
	}
	sub("embedded", func(t *testing.T) {
		servers := redistest.Start(t, 2, &redistest.Config{Kind: redistest.Embedded})
		redistest.NeedFaults(t, servers)
		redistest.NeedReal(t, servers)
	})
	sub("image", func(t *testing.T) {
		redistest.Start(t, 1, &redistest.Config{Kind: redistest.Embedded, Image: redistest.Valkey81})
	})
	sub("cluster", func(t *testing.T) {
		redistest.StartCluster(t, &redistest.Config{Kind: redistest.Embedded})
	})
	sub("sentinel", func(t *testing.T) {
		redistest.StartSentinel(t, &redistest.Config{Kind: redistest.Embedded})
	})
	sub("given", func(t *testing.T) {
		give(t, redistest.Addrs(others))
		servers := redistest.Start(t, 1, nil)
		redistest.NeedReal(t, servers)
		redistest.NeedFaults(t, servers)
	})
	sub("images", func(t *testing.T) {
		give(t, redistest.Addrs(others))
		if got := redistest.Images(t); !slices.Equal(got, []redistest.Image{""}) {
			t.Errorf("Images: got %q, want the one there is", got)
		}
	})
	for _, name := range []string{"embedded", "image", "cluster", "sentinel", "given"} {
		if !skipped[name] {
			t.Errorf("%s: want it skipped", name)
		}
	}
	line, err := redistest.Summary(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 x embedded (miniredis)", "1 x addrs (", "left out 8:",
		"TestLeaveOut/embedded", "not miniredis", "TestLeaveOut/image", "miniredis is not valkey-8.1",
		"miniredis is no cluster", "miniredis is no sentinel", "TestLeaveOut/given", "needs faults",
		"redis-7.0: the kind is addrs", "redis-8.0: the kind is addrs", "valkey-8.1: the kind is addrs",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("got %q, want it to say %q", line, want)
		}
	}
}

// TestImages runs every image of the best kind there is and asks it for its name.
func TestImages(t *testing.T) {
	t.Setenv("REDLATCH_ADDRS", "")
	t.Setenv("REDLATCH_IMAGE", "")
	for _, image := range redistest.Images(t) {
		if image == "" {
			redistest.LeaveOut(t, "only miniredis is there")
		}
		s := redistest.Start(t, 1, &redistest.Config{Image: image, AppendOnly: true})[0]
		name, number, _ := strings.Cut(string(image), "-")
		if prefix := name + " " + number + "."; !strings.HasPrefix(s.Version(), prefix) {
			t.Errorf("%s: got %q, want a server %q", image, s.Version(), prefix)
		}
		want(t, "SET", do(t, s.Addr(), "SET", "k", "v"), "+OK")
		redistest.Do(t, s.Restart)
		want(t, "GET after Restart", do(t, s.Addr(), "GET", "k"), "v")

		t.Setenv("REDLATCH_IMAGE", string(image))
		if got := redistest.Images(t); !slices.Equal(got, []redistest.Image{image}) {
			t.Errorf("Images with REDLATCH_IMAGE=%s: got %q", image, got)
		}
		if got := redistest.Start(t, 1, nil)[0].Version(); got != s.Version() {
			t.Errorf("REDLATCH_IMAGE=%s: got %q, want %q", image, got, s.Version())
		}
		t.Setenv("REDLATCH_IMAGE", "")
	}
}

// TestNoGoroutines shows that nothing of ours runs on once servers are closed, so
// that users may check for leaks.
func TestNoGoroutines(t *testing.T) {
	t.Setenv("REDLATCH_ADDRS", "")
	each := []redistest.Kind{redistest.Containers, redistest.Process, redistest.Embedded}
	for _, kind := range each {
		t.Run(string(kind), func(t *testing.T) {
			need(t, kind)
			before := runtime.NumGoroutine()
			g, err := redistest.Open(t.Context(), 2, &redistest.Config{Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			s := g.Servers()[0]
			redistest.Do(t, s.Pause)
			redistest.Do(t, s.Restart)
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
			if err := g.Close(); err != nil {
				t.Errorf("the second Close: %v", err)
			}
			deadline := time.Now().Add(5 * time.Second)
			for runtime.NumGoroutine() > before {
				if time.Now().After(deadline) {
					stacks := make([]byte, 1<<20)
					t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}
