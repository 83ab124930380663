//go:build unix

package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/redlatch/redlatch/conformance/redistest/internal/guard"
)

// process is the kind that runs the installed servers as child processes.
type process struct{}

func (process) serves(_ context.Context, req request) error {
	_, err := program(wanted(req.image))
	if err != nil && req.image == "" {
		// The caller did not choose: this machine cannot, or the environment
		// asks for what is not there.
		return errors.New(err.Error())
	}
	return err
}

// oldest is the first major version that knows the flags we use.
const oldest = 7

// installed finds the servers of this machine once: path by version. Those that
// are too old have no path.
var installed = sync.OnceValue(func() map[string]string {
	found := make(map[string]string)
	for _, name := range []string{"redis", "valkey"} {
		path, err := exec.LookPath(name + "-server")
		if err != nil {
			continue
		}
		out, err := exec.Command(path, "--version").Output()
		if err != nil {
			continue
		}
		// "Redis server v=7.0.15 sha=...", "Valkey server v=8.1.1 sha=..."
		_, rest, _ := strings.Cut(string(out), " v=")
		number, _, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(strings.ToLower(string(out)), "valkey") {
			name = "valkey" // a link may be called redis-server
		} else {
			name = "redis"
		}
		if major, _, _ := strings.Cut(number, "."); len(major) == 1 && major < strconv.Itoa(oldest) {
			path = ""
		}
		found[name+" "+number] = path
	}
	return found
})

// program returns the path of the server that is image; any, preferring Redis,
// if image is empty.
func program(image Image) (string, error) {
	var names []string
	var path string
	for version, at := range installed() {
		if at == "" {
			version += " (too old: 7.0 is needed)"
		}
		names = append(names, version)
		if at == "" {
			continue
		}
		if image.matches(version) || image == "" && (path == "" || strings.HasPrefix(version, "redis")) {
			path = at
		}
	}
	switch {
	case path != "":
		return path, nil
	case len(names) == 0:
		return "", errors.New("neither redis-server nor valkey-server is installed")
	}
	slices.Sort(names)
	if image == "" {
		return "", errors.New("installed is only " + strings.Join(names, ", "))
	}
	return "", fmt.Errorf("%s is not installed, only %s: %w", image, strings.Join(names, ", "), ErrUnsupported)
}

// processNode is one child process.
type processNode struct {
	path string
	dir  string
	spec spec
	out  tail

	cmd  *exec.Cmd
	done chan struct{} // closed once the process has been reaped
}

func (process) start(_ context.Context, _ int, spec spec) (node, error) {
	path, err := program(spec.image)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "redistest-")
	if err != nil {
		return nil, err
	}
	guard.Add(guard.Dir, dir)
	n := &processNode{path: path, dir: dir, spec: spec}
	if err := n.run(); err != nil {
		return nil, errors.Join(err, n.remove())
	}
	return n, nil
}

func (n *processNode) run() error {
	args := append([]string{"--bind", "127.0.0.1"}, n.spec.flags(n.spec.port, n.dir)...)
	if n.spec.sentinel != "" {
		file := filepath.Join(n.dir, "sentinel.conf")
		if _, err := os.Stat(file); err != nil {
			if err := os.WriteFile(file, []byte(n.spec.sentinel), 0o600); err != nil {
				return err
			}
		}
		args = []string{file, "--sentinel"}
	}
	cmd := exec.Command(n.path, args...)
	cmd.Dir = n.dir
	cmd.Stdout, cmd.Stderr = &n.out, &n.out
	// A group of its own: a terminal's interrupt is for us, who then clean up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	n.cmd, n.done = cmd, done
	guard.Add(guard.Process, strconv.Itoa(cmd.Process.Pid))
	go func() {
		defer close(done)
		cmd.Wait() // how it ended is in its output
		guard.Done(guard.Process, strconv.Itoa(cmd.Process.Pid))
	}()
	return nil
}

func (n *processNode) addr() string { return fmt.Sprintf("127.0.0.1:%d", n.spec.port) }

func (n *processNode) ended(context.Context) error {
	select {
	case <-n.done:
		return fmt.Errorf("the process has ended: %v: %s", n.cmd.ProcessState, n.out.String())
	default:
		return nil
	}
}

func (n *processNode) pause(ctx context.Context) error {
	if err := n.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	// The signal takes effect a moment after it was sent.
	return until(ctx, func() error {
		if !stopped(n.cmd.Process.Pid) {
			return errors.New("the process still runs")
		}
		return nil
	})
}

func (n *processNode) resume(context.Context) error {
	return n.cmd.Process.Signal(syscall.SIGCONT)
}

func (n *processNode) kill(ctx context.Context) error {
	if n.cmd == nil {
		return nil
	}
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-n.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *processNode) restart(_ context.Context, empty bool) error {
	if empty {
		if err := os.RemoveAll(n.dir); err != nil {
			return err
		}
		if err := os.Mkdir(n.dir, 0o700); err != nil {
			return err
		}
	}
	return n.run()
}

func (n *processNode) remove() error {
	err := errors.Join(n.kill(context.Background()), os.RemoveAll(n.dir))
	if err == nil {
		guard.Done(guard.Dir, n.dir)
	}
	return err
}

// stopped reports whether every thread of the process is stopped, as far as
// /proc tells; without one, a sent signal has to do.
func stopped(pid int) bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, stat := range stats {
		data, err := os.ReadFile(stat)
		if err != nil {
			continue // a thread that has ended
		}
		// "12 (redis-server) T ...": the name may hold anything, even brackets.
		if i := bytes.LastIndexByte(data, ')'); i >= 0 && i+2 < len(data) && data[i+2] != 'T' {
			return false
		}
	}
	return true
}

// tail keeps the last 2 KiB that were written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - 2048; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.data))
}
