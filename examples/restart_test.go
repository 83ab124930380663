package examples_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/examples/internal/program"
)

// server starts a server that keeps its data. It is a real one: miniredis, when it is killed,
// breaks scripts off with an error, as if they were wrong.
func server(t *testing.T) *redistest.Server {
	t.Helper()
	servers := redistest.Start(t, 1, &redistest.Config{AppendOnly: true})
	redistest.NeedFaults(t, servers)
	redistest.NeedReal(t, servers)
	return servers[0]
}

// start runs an example on a server.
func start(t *testing.T, server *redistest.Server, name string, args ...string) *program.Program {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program.Start(t, binary, append(args, "-redis", server.Addr())...)
}

// The leader whose server dies in its term, and the candidates who wait meanwhile, all stand
// for election in the outage, and lead when the server is back.
func TestLeaderSurvivesARestart(t *testing.T) {
	t.Parallel()
	server := server(t)
	p := start(t, server, "leader", "-term", "2s")
	p.Await("leads, term 1")
	redistest.Do(t, server.Kill)
	p.Await("steps down")
	p.Await("node 0") // the release has failed
	redistest.Do(t, server.Restart)
	for led := map[string]bool{}; len(led) < 3; {
		name, _, _ := strings.Cut(p.Await("leads, term 1"), " ")
		led[name] = true
	}
}

// Workers whose server dies under them, in a shift and in line, all have their shift.
func TestWorkersSurviveARestart(t *testing.T) {
	t.Parallel()
	server := server(t)
	p := start(t, server, "workers", "-shift", "3s")
	for range 3 {
		p.Await("serves shard")
	}
	redistest.Do(t, server.Kill)
	p.Await("node 0") // a release has failed
	redistest.Do(t, server.Restart)
	for range 2 { // those who stood in line
		p.Await("serves shard")
	}
	p.End()
}

// A program that is started while its server is away goes on when the server is back.
func TestFencingSurvivesARestart(t *testing.T) {
	t.Parallel()
	server := server(t)
	redistest.Do(t, server.Kill)
	p := start(t, server, "fencing")
	p.Await("first holder asks")
	program.Outlast(t, server.Addr())
	redistest.Do(t, server.Restart)
	p.Await("late, rows changed: 0")
	p.End()
}
