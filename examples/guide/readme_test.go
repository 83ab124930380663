package guide

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/examples/internal/program"
	"github.com/redlatch/redlatch/redlock"
)

const root = "../.." // of the repository

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the Go code of README.md.
func blocks(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, root, "README.md"), -1) {
		found = append(found, m[1])
	}
	return found
}

// TestSnippets finds the parts that README.md shows in the code that is tested here.
func TestSnippets(t *testing.T) {
	code := read(t, "guide.go")
	snippets := 0
	for _, block := range blocks(t) {
		if strings.HasPrefix(block, "package main") {
			continue
		}
		snippets++
		if !strings.Contains(code, block) {
			t.Errorf("guide.go does not have what README.md shows:\n%s", block)
		}
	}
	if snippets < 6 {
		t.Errorf("README.md has %d snippets, at least 6 expected", snippets)
	}
}

// TestPrograms builds the first programs of README.md, as a stranger would, each in
// an empty module outside the repository, looks at what comes with it, and runs it.
func TestPrograms(t *testing.T) {
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]string{
		"goredis": "github.com/redis/go-redis/v9",
		"redigo":  "github.com/gomodule/redigo",
		"rueidis": "github.com/redis/rueidis",
	}
	const module = "github.com/redlatch/redlatch"
	for _, block := range blocks(t) {
		if !strings.HasPrefix(block, "package main") {
			continue
		}
		adapter := regexp.MustCompile(`redlatch/adapters/(\w+)"`).FindStringSubmatch(block)
		if adapter == nil || clients[adapter[1]] == "" {
			t.Errorf("no adapter, or one that was there already, in:\n%s", block)
			continue
		}
		name := adapter[1]
		client := clients[name]
		delete(clients, name)
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			command := func(name string, args ...string) string {
				t.Helper()
				c := exec.CommandContext(t.Context(), name, args...)
				c.Dir = dir
				c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
				out, err := c.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %v\n%s", c, err, out)
				}
				return string(out)
			}
			server := restartable(t)
			const addr = "localhost:6379"
			if strings.Count(block, addr) != 1 {
				t.Fatalf("%q is not there once:\n%s", addr, block)
			}
			source := strings.Replace(block, addr, server.Addr(), 1)
			if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}

			command("go", "mod", "init", "example.com/first")
			command("go", "mod", "edit", "-replace", module+"="+repository,
				"-replace", module+"/adapters/"+name+"="+filepath.Join(repository, "adapters", name))
			// Tidy would ask the proxy for the latest client, where the adapter's own will do: its
			// version, and the sums of what comes with it.
			version := regexp.MustCompile(regexp.QuoteMeta(client) + ` (v\S+)`).FindStringSubmatch(read(t, root, "adapters", name, "go.mod"))
			if version == nil {
				t.Fatalf("the go.mod of %s does not require %s", name, client)
			}
			command("go", "mod", "edit", "-require", client+"@"+version[1])
			sums := read(t, root, "adapters", name, "go.sum")
			if err := os.WriteFile(filepath.Join(dir, "go.sum"), []byte(sums), 0o600); err != nil {
				t.Fatal(err)
			}
			command("go", "mod", "tidy")
			command("go", "vet", ".")
			command("go", "build", "-o", "first", ".")
			modules := command("go", "list", "-m", "all")
			for _, other := range []string{"go-redis", "redigo", "rueidis", "testcontainers", "docker", "moby", "miniredis"} {
				for line := range strings.Lines(modules) {
					path, _, _ := strings.Cut(strings.TrimSpace(line), " ")
					ours := strings.HasPrefix(path, module)
					if !ours && strings.Contains(path, other) && !strings.Contains(block, path) {
						t.Errorf("with %s comes %s", name, path)
					}
				}
			}
			first := filepath.Join(dir, "first")
			says(program.Start(t, first))
			t.Run("over a restart", func(t *testing.T) {
				redistest.NeedReal(t, []*redistest.Server{server}) // miniredis breaks scripts off with an error
				overARestart(t, server, first, name != "rueidis")  // whose client asks for a server at once
			})
		})
	}
	for name := range clients {
		t.Errorf("README.md has no program for %s", name)
	}
}

// overARestart restarts the server under a program that waits for its mutex, and, with
// early, under one that was started without a server: both have the mutex in the end.
func overARestart(t *testing.T, server *redistest.Server, path string, early bool) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	mutex, err := redlock.NewMutex([]redlatch.Scripter{goredis.New(client)}, "nightly-report", nil)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := mutex.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	programs := []*program.Program{program.Start(t, path)}
	for end := time.Now().Add(time.Minute); client.ZCard(t.Context(), "{nightly-report}:mutex:queue").Val() == 0; {
		if time.Now().After(end) {
			t.Fatal("the program does not wait for its mutex")
		}
	}
	redistest.Do(t, server.Kill)
	if early {
		programs = append(programs, program.Start(t, path))
		program.Outlast(t, server.Addr())
	}
	redistest.Do(t, server.Restart)
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		says(p)
	}
}

// says waits for what a first program says, and for its end.
func says(p *program.Program) {
	p.Await("alone, with fencing token 1")
	p.End()
}

// TestOptions finds every option in the table of README.md.
func TestOptions(t *testing.T) {
	text := read(t, root, "README.md")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[redlatch.Options]()) {
		if !regexp.MustCompile("(?m)^\\| .*`" + field.Name + "`.* \\|.*\\|.*\\|$").MatchString(text) {
			t.Errorf("README.md has no row for %s", field.Name)
		}
	}
}

// TestLinks finds the files that README.md points to.
func TestLinks(t *testing.T) {
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(read(t, root, "README.md"), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("README.md points to nothing: %v", err)
		}
	}
}
