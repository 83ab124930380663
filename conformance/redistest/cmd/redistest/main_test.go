//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/internal/leaktest"
)

var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "redistest-cmd-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "redistest")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	return leaktest.Check(redistest.Main(m))
}

// A result is what one run of the command has left.
type result struct {
	code        int
	out, report string
}

// environ is this process's environment without what steers redistest.
func environ(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "REDLATCH_") && !strings.HasPrefix(v, "CI=") {
			env = append(env, v)
		}
	}
	return append(env, more...)
}

func run(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = environ(env...)
	var out, report bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &report
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), report.String()}
}

// fakePath is a PATH that has a shell, and no servers.
func fakePath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sh", "true"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return "PATH=" + dir
}

// TestChoice shows which kind is taken when, and what is an error instead.
func TestChoice(t *testing.T) {
	t.Parallel()
	const noEngine = "DOCKER_HOST=tcp://127.0.0.1:1" // nobody listens there
	_, err := exec.LookPath("redis-server")
	servers := err == nil
	path := fakePath(t)
	tests := []struct {
		name string
		env  []string
		code int
		want []string // in what it says
	}{
		{"addrs first", []string{"REDLATCH_ADDRS=127.0.0.1:1, 127.0.0.1:1,127.0.0.1:1", noEngine, path}, 2, []string{"start addrs", "127.0.0.1:1", "refused"}},
		{"too few addrs", []string{"REDLATCH_ADDRS=127.0.0.1:1,127.0.0.1:2"}, 2, []string{"REDLATCH_ADDRS", "2 addresses", "3 are needed"}},
		{"process without engine", []string{noEngine}, 0, []string{"3 servers, process, redis ", "does not answer"}},
		{"embedded without anything", []string{noEngine, path}, 0, []string{"3 servers, embedded, miniredis", "containers:", "process:"}},
		{"never embedded in CI", []string{noEngine, path, "CI=true"}, 2, []string{"not by itself in CI"}},
		{"never embedded for an image", []string{noEngine, path, "REDLATCH_IMAGE=redis-8.0"}, 2, []string{"miniredis is not REDLATCH_IMAGE=redis-8.0"}},
		{"embedded on demand in CI", []string{noEngine, path, "CI=true", "REDLATCH_SERVERS=embedded"}, 0, []string{"3 servers, embedded, miniredis"}},
		{"required containers", []string{noEngine, "REDLATCH_REQUIRED=containers"}, 2, []string{"REDLATCH_REQUIRED asks for containers"}},
		{"required although there are addrs", []string{noEngine, "REDLATCH_REQUIRED=containers", "REDLATCH_ADDRS=127.0.0.1:1"}, 2, []string{"REDLATCH_REQUIRED asks for containers"}},
		{"containers on demand", []string{noEngine, "REDLATCH_SERVERS=containers"}, 2, []string{"REDLATCH_SERVERS asks for containers"}},
		{"process on demand", []string{path, "REDLATCH_SERVERS=process"}, 2, []string{"REDLATCH_SERVERS asks for process", "installed"}},
		{"addrs on demand", []string{"REDLATCH_SERVERS=addrs"}, 2, []string{"REDLATCH_ADDRS is empty"}},
		{"contradiction", []string{"REDLATCH_SERVERS=process", "REDLATCH_REQUIRED=containers"}, 2, []string{"REDLATCH_SERVERS=process, but REDLATCH_REQUIRED=containers"}},
		{"unknown kind", []string{"REDLATCH_SERVERS=docker"}, 2, []string{"REDLATCH_SERVERS=docker", "want addrs, containers"}},
		{"image not installed", []string{"REDLATCH_SERVERS=process", "REDLATCH_IMAGE=redis-1.0"}, 2, []string{"redis-1.0 is not installed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if !servers && (test.name == "process without engine" || test.name == "image not installed") {
				redistest.LeaveOut(t, "redis-server is not installed")
			}
			got := run(t, test.env, "-n", "3", "--", "true")
			if got.code != test.code {
				t.Errorf("exit code: got %d, want %d", got.code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(got.report, want) {
					t.Errorf("got %q, want it to say %q", got.report, want)
				}
			}
		})
	}
}

// TestNoPull shows that an image that is not there is an error, and that its
// registry, which would be us, is not asked for it.
func TestNoPull(t *testing.T) {
	t.Parallel()
	need(t, redistest.Containers)
	registry, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	asked := make(chan struct{}, 1)
	go func() {
		if c, err := registry.Accept(); err == nil {
			asked <- struct{}{}
			c.Close()
		}
	}()
	image := registry.Addr().String() + "/redis:7"
	got := run(t, []string{"REDLATCH_SERVERS=containers"}, "-image", image, "--", "true")
	if got.code != 2 || !strings.Contains(got.report, "no local image "+image) {
		t.Errorf("got code %d, %q; want 2 and that there is no such image", got.code, got.report)
	}
	select {
	case <-asked:
		t.Error("the engine has asked the registry")
	default:
	}
}

// TestRun passes addresses, exit codes, signals and reports to and fro.
func TestRun(t *testing.T) {
	t.Parallel()
	embedded := []string{"REDLATCH_SERVERS=embedded"}

	got := run(t, embedded, "-n", "2", "--", "sh", "-c", `echo "$REDLATCH_KIND $REDLATCH_ADDRS"; exit 7`)
	if got.code != 7 {
		t.Errorf("exit code: got %d, want the command's, 7", got.code)
	}
	kind, addrs, _ := strings.Cut(strings.TrimSpace(got.out), " ")
	if kind != "embedded" || len(strings.Split(addrs, ",")) != 2 {
		t.Errorf("got %q, want embedded and two addresses", got.out)
	}
	for addr := range strings.SplitSeq(addrs, ",") {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s still accepts", addr)
		}
	}
	if strings.Contains(got.report, "left out") {
		t.Errorf("got %q, want no closing line when nothing was reported", got.report)
	}

	got = run(t, embedded, "--", "sh", "-c", `printf 'left\tpkg.TestX\tno faults\nleft\tpkg.TestY\tno faults\nused\tprocess\tredis 7.0.15\n' >"$REDLATCH_REPORT"; kill -s KILL $$`)
	if got.code != 128+9 {
		t.Errorf("exit code of a killed command: got %d, want 137", got.code)
	}
	for _, want := range []string{"1 x process (redis 7.0.15)", "left out 2:", "no faults: pkg.TestX, pkg.TestY"} {
		if !strings.Contains(got.report, want) {
			t.Errorf("got %q, want it to say %q", got.report, want)
		}
	}

	if got := run(t, embedded, "--", "/no/such/command"); got.code != 2 {
		t.Errorf("a command that is not there: got code %d, want 2", got.code)
	}
	if got := run(t, embedded, "-n", "0", "--", "sh", "-c", `echo "$REDLATCH_ADDRS."`); got.code != 0 || got.out != ".\n" {
		t.Errorf("-n 0: got code %d, %q", got.code, got.out)
	}
	if got := run(t, embedded); got.code != 2 || !strings.Contains(got.report, "usage:") {
		t.Errorf("no command: got code %d, %q", got.code, got.report)
	}
}

// TestSignals ends the command in three ways while its servers run, and looks for
// what it may have left behind: servers, containers, directories, the command.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, kind := range []redistest.Kind{redistest.Process, redistest.Containers} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			t.Run(fmt.Sprintf("%s/%v", kind, sig), func(t *testing.T) {
				t.Parallel()
				need(t, kind)
				tmp := t.TempDir()
				cmd := exec.Command(binary, "-n", "2", "-kind", string(kind), "-appendonly",
					"--", "sh", "-c", `echo "$$ $REDLATCH_ADDRS"; sleep 1000; echo not reached`)
				cmd.Env = environ("TMPDIR=" + tmp)
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer cmd.Process.Kill()
				r := bufio.NewReader(out)
				line, err := r.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				var pid int
				var list string
				if _, err := fmt.Sscan(line, &pid, &list); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				addrs := strings.Split(list, ",")
				if left := leftovers(t, kind, addrs); len(left) < 2 {
					t.Fatalf("got %q, want to see two servers while the command runs", left)
				}
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				rest, _ := io.ReadAll(r) // ends with the last of the group
				cmd.Wait()
				if len(rest) > 0 {
					t.Errorf("the command went on: %q", rest)
				}
				// A guard needs a moment; whoever could clean up has done so.
				wait := time.Now()
				if sig == syscall.SIGKILL {
					wait = wait.Add(20 * time.Second)
				} else if code := cmd.ProcessState.ExitCode(); code != 128+int(sig) {
					t.Errorf("exit code: got %d, want the command's, %d", code, 128+int(sig))
				}
				for {
					left := leftovers(t, kind, addrs)
					files, err := os.ReadDir(tmp)
					if err != nil {
						t.Fatal(err)
					}
					for _, file := range files {
						left = append(left, file.Name())
					}
					if err := syscall.Kill(pid, 0); err == nil {
						left = append(left, fmt.Sprint("process ", pid))
					}
					if len(left) == 0 {
						return
					}
					if time.Now().After(wait) {
						t.Fatalf("left behind: %q", left)
					}
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
	}
}

// leftovers returns what still has to do with the servers at addrs.
func leftovers(t *testing.T, kind redistest.Kind, addrs []string) []string {
	t.Helper()
	var left []string
	var commands []string
	if kind == redistest.Containers {
		docker, err := testcontainers.NewDockerClientWithOpts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer docker.Close()
		list, err := docker.ContainerList(t.Context(), client.ContainerListOptions{All: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Items {
			commands = append(commands, strings.Join(c.Names, " ")+" "+c.Command)
		}
	}
	commands = append(commands, processes(t)...)
	for _, addr := range addrs {
		_, port, _ := net.SplitHostPort(addr)
		for _, command := range commands {
			if strings.Contains(command, "--port "+port+" ") || strings.HasSuffix(strings.TrimSpace(command), "-server "+addr) {
				left = append(left, command)
			}
		}
	}
	return left
}

// processes returns the command lines of this machine's processes. A small Linux has no
// ps, and what has no /proc has one.
func processes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		out, err := exec.Command("ps", "-A", "-o", "args").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(out), "\n")
	}
	var lines []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil { // else it has just ended
			lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return lines
}

// need skips the test where the machine has no servers of this kind.
func need(t *testing.T, kind redistest.Kind) {
	t.Helper()
	if os.Getenv("REDLATCH_REQUIRED") == string(kind) {
		return
	}
	g, err := redistest.Open(t.Context(), 1, &redistest.Config{Kind: kind})
	if err != nil {
		redistest.LeaveOut(t, "%v", err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}
