package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/redlatch/redlatch/conformance/redistest/internal/guard"
)

// engine is the kind that runs servers in a container engine.
var engine containers

type containers struct {
	once    sync.Once
	client  *testcontainers.DockerClient
	hostNet bool // containers can share this machine's loopback
	err     error

	mu    sync.Mutex
	there map[string]error // by image: whether it is there, once asked

	users users // of client
}

// use notes that the client is used until the returned function is called. The last one
// closes its idle connections, so that no goroutine stays.
func (e *containers) use() (done func()) {
	return e.users.enter(func() { e.client.Close() })
}

// quiet keeps testcontainers-go from logging. Once for all engines, of which tests have
// more than one: others may be starting containers, which reads the logger.
var quiet = sync.OnceFunc(func() { log.SetDefault(log.NewNoopLogger()) })

// connect finds the engine, once per process.
func (e *containers) connect(ctx context.Context) error {
	e.once.Do(func() {
		// In a container-like machine testcontainers-go would reach the servers
		// over the default gateway; the image of its reaper may not be there
		// (ours needs none). Both are read at its first call.
		for name, value := range map[string]string{
			"TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
			"TESTCONTAINERS_RYUK_DISABLED": "true",
		} {
			if os.Getenv(name) == "" {
				os.Setenv(name, value)
			}
		}
		quiet()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		var got client.SystemInfoResult
		if e.client, e.err = testcontainers.NewDockerClientWithOpts(ctx); e.err == nil {
			got, e.err = e.client.Info(ctx, client.InfoOptions{})
		}
		if e.err != nil {
			e.err = fmt.Errorf("no container engine answers: %w", e.err)
			return
		}
		host := e.client.DaemonHost()
		if named := os.Getenv("DOCKER_HOST"); named != "" && named != host {
			// testcontainers-go silently takes the next one that it finds.
			e.err = fmt.Errorf("the container engine at DOCKER_HOST=%s does not answer", named)
			return
		}
		if !strings.HasPrefix(host, "unix:") && !strings.HasPrefix(host, "npipe:") {
			e.err = fmt.Errorf("the container engine is on another machine: %s", host)
			return
		}
		// A rootless engine and Docker Desktop have a loopback of their own.
		e.hostNet = runtime.GOOS == "linux" && !strings.Contains(got.Info.OperatingSystem, "Desktop")
		for _, option := range got.Info.SecurityOptions {
			if strings.Contains(option, "rootless") {
				e.hostNet = false
			}
		}
	})
	return e.err
}

func (e *containers) serves(ctx context.Context, req request) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	defer e.use()()
	if req.topology != "" && !e.hostNet {
		return fmt.Errorf("a %s of containers needs host networking: %w", req.topology, ErrUnsupported)
	}
	return e.provide(ctx, wanted(req.image))
}

// provide makes sure that the image is in the engine, since the engine would
// otherwise ask a registry for it.
func (e *containers) provide(ctx context.Context, image Image) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	ref := image.ref()
	if err, ok := e.there[ref]; ok {
		return err
	}
	has := func() bool {
		_, err := e.client.ImageInspect(ctx, ref)
		return err == nil
	}
	var err error
	switch {
	case has():
	case image.built():
		err = build(ctx, ref, has)
	default:
		err = fmt.Errorf("no local image %s", ref)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e.there == nil {
		e.there = make(map[string]error)
	}
	e.there[ref] = err
	return err
}

// containerNode is one container.
type containerNode struct {
	engine *containers
	name   string
	spec   spec
}

func (e *containers) start(ctx context.Context, _ int, spec spec) (node, error) {
	n := &containerNode{engine: e, name: spec.ident, spec: spec}
	if err := n.create(ctx); err != nil {
		return nil, errors.Join(err, n.remove())
	}
	return n, nil
}

// create makes and starts the container. Its name is known beforehand, so that
// whoever cleans up after this process needs no answer from the engine.
func (n *containerNode) create(ctx context.Context) error {
	defer n.engine.use()()
	port := n.spec.port
	listen := []string{"--bind", "127.0.0.1"}
	if !n.engine.hostNet {
		port = 6379
		listen = []string{"--bind", "0.0.0.0", "--protected-mode", "no"}
	}
	req := testcontainers.ContainerRequest{
		Name:  n.name,
		Image: n.spec.image.ref(),
		Cmd:   append(listen, n.spec.flags(port, "/data")...),
		HostConfigModifier: func(host *container.HostConfig) {
			if n.engine.hostNet {
				host.NetworkMode = "host"
				return
			}
			host.PortBindings = network.PortMap{network.MustParsePort("6379/tcp"): {{
				HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: fmt.Sprint(n.spec.port),
			}}}
		},
	}
	if n.spec.sentinel != "" {
		// A sentinel rewrites its configuration, so the server's user owns it.
		req.Cmd = []string{"/data/sentinel.conf", "--sentinel"}
		req.Files = []testcontainers.ContainerFile{{
			Reader: strings.NewReader(n.spec.sentinel), ContainerFilePath: "/data/sentinel.conf", FileMode: 0o666,
		}}
	}
	guard.Add(guard.Container, n.guarded())
	_, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: req, Started: true, Logger: log.NewNoopLogger(),
	})
	return err
}

func (n *containerNode) guarded() string { return n.engine.client.DaemonHost() + " " + n.name }

func (n *containerNode) addr() string { return fmt.Sprintf("127.0.0.1:%d", n.spec.port) }

func (n *containerNode) ended(ctx context.Context) error {
	defer n.engine.use()()
	got, err := n.engine.client.ContainerInspect(ctx, n.name, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	if state := got.Container.State; state != nil && !state.Running {
		return fmt.Errorf("the container has ended with code %d: %s", state.ExitCode, n.log(ctx))
	}
	return nil
}

// log returns the container's last lines.
func (n *containerNode) log(ctx context.Context) string {
	r, err := n.engine.client.ContainerLogs(ctx, n.name, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Tail: "10",
	})
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := stdcopy.StdCopy(&b, &b, r); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// pause asks three times: on a very busy machine the engine gives up ("unable to freeze")
// although nothing is wrong with the container.
func (n *containerNode) pause(ctx context.Context) (err error) {
	defer n.engine.use()()
	for range 3 {
		if _, err = n.engine.client.ContainerPause(ctx, n.name, client.ContainerPauseOptions{}); err == nil {
			return nil
		}
	}
	return err
}

func (n *containerNode) resume(ctx context.Context) error {
	defer n.engine.use()()
	_, err := n.engine.client.ContainerUnpause(ctx, n.name, client.ContainerUnpauseOptions{})
	return err
}

func (n *containerNode) kill(ctx context.Context) error {
	defer n.engine.use()()
	if _, err := n.engine.client.ContainerKill(ctx, n.name, client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		if n.ended(ctx) == nil {
			return err
		}
		return nil // it has ended by itself
	}
	// The engine answers before the process has ended.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	wait := n.engine.client.ContainerWait(ctx, n.name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case <-wait.Result:
	case err := <-wait.Error:
		return err
	}
	// Where the port is published, the engine's proxy ends after the server.
	return until(ctx, func() error {
		c, err := net.DialTimeout("tcp", n.addr(), time.Second)
		if err != nil {
			return nil
		}
		c.Close()
		return fmt.Errorf("%s still accepts", n.addr())
	})
}

func (n *containerNode) restart(ctx context.Context, empty bool) error {
	defer n.engine.use()()
	if empty {
		// The data goes with the container.
		if err := n.remove(); err != nil {
			return err
		}
		return n.create(ctx)
	}
	_, err := n.engine.client.ContainerStart(ctx, n.name, client.ContainerStartOptions{})
	return err
}

func (n *containerNode) remove() error {
	defer n.engine.use()()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := n.engine.client.ContainerRemove(ctx, n.name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !isNotFound(err) {
		return err
	}
	guard.Done(guard.Container, n.guarded())
	return nil
}

// isNotFound tells the engine's answer by its marker method, as its client does.
func isNotFound(err error) bool {
	var marked interface{ NotFound() }
	return errors.As(err, &marked)
}
