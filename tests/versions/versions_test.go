package versions_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

const (
	each   = 2 // workers of each version
	rounds = 20
)

// TestLastVersion runs workers of the last version that is tagged in this history beside
// workers of the tree, on the same names.
func TestLastVersion(t *testing.T) {
	describe := exec.CommandContext(t.Context(), "git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
	out, err := describe.CombinedOutput()
	if err != nil {
		t.Skipf("no version has been tagged yet: %v: %s", err, out)
	}
	last := strings.TrimSpace(string(out))
	tree := t.TempDir()
	// In the whole repository, whose tag has the worker as it was.
	archive := exec.CommandContext(t.Context(), "sh", "-c", `cd ../.. && git archive "$0" | tar -x -C "$1"`, last, tree)
	if out, err := archive.CombinedOutput(); err != nil {
		t.Fatalf("git archive %s: %v\n%s", last, err, out)
	}
	share(t, map[string]string{last: build(t, filepath.Join(tree, "tests", "versions")), "tree": build(t, ".")})
}

// TestTree does the same without another version: what the workers ask for is so.
func TestTree(t *testing.T) {
	worker := build(t, ".")
	share(t, map[string]string{"one": worker, "other": worker})
}

// build returns the path of the worker whose folder is in dir.
func build(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker")
	c := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./worker")
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", dir, err, out)
	}
	return path
}

// share starts workers of each version, by its name, and sees that they took turns.
func share(t *testing.T, versions map[string]string) {
	t.Helper()
	server := redistest.Start(t, 1, nil)[0]
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { client.Close() })
	type process struct {
		*exec.Cmd
		out *strings.Builder
	}
	var processes []process
	for name, path := range versions {
		for range each {
			p := process{exec.CommandContext(t.Context(), path, "-addr", server.Addr(), "-as", name, "-rounds", strconv.Itoa(rounds)), new(strings.Builder)}
			p.Stdout, p.Stderr = p.out, p.out
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			processes = append(processes, p)
		}
	}
	for range processes {
		if err := client.BLPop(t.Context(), time.Minute, "ready").Err(); err != nil {
			t.Fatalf("a worker does not get ready: %v", err)
		}
	}
	for range processes {
		if err := client.RPush(t.Context(), "start", "go").Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range processes {
		if err := p.Wait(); err != nil {
			t.Errorf("%v: %v\n%s", p.Args, err, p.out)
		}
	}

	for log, want := range map[string]int{"log-mutex": each * rounds, "log-writer": each * rounds, "log-readers": each * rounds} {
		entries, err := client.LRange(t.Context(), log, 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		times, changes := map[string]int{}, 0
		for i, name := range entries {
			times[name]++
			if i > 0 && name != entries[i-1] {
				changes++
			}
		}
		for name := range versions {
			if times[name] != want {
				t.Errorf("%s: %s was in %d times, want %d", log, name, times[name], want)
			}
		}
		if changes < rounds/2 {
			t.Errorf("%s: the lock went from one version to the other %d times, at least %d expected", log, changes, rounds/2)
		}
	}
	printed, err := client.LLen(t.Context(), "log-printer-0").Result()
	if err != nil {
		t.Fatal(err)
	}
	if more := client.LLen(t.Context(), "log-printer-1").Val(); printed+more != int64(2*len(processes)*rounds) || more == 0 {
		t.Errorf("the two printers printed %d and %d times, want %d in sum, none of them 0", printed, more, 2*len(processes)*rounds)
	}
}
