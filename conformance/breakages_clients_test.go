package conformance_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance"
	"github.com/redlatch/redlatch/conformance/internal/resp"
	"github.com/redlatch/redlatch/core"
)

// brokenClients are wrong about what a client keeps from call to call.
var brokenClients = []breakage{
	{"keeps-dead-connections", "each call fails that finds a connection of the pool dead", "Scripter/StaleConnections",
		`of 16 calls have failed after a cut of all idle connections, the last with "EOF", want at most 1`, pooled},
	{"hides-closed", "a closed client's error is its own", "Scripter/Closed", `after the client was closed: got the error "client is closed"`,
		func(t *testing.T, _ string, s *resp.Scripter) core.Scripter {
			closed := false
			t.Cleanup(func() { closed = true })
			return around{s, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
				if closed {
					return nil, errors.New("client is closed")
				}
				return next(ctx, script, keys, args)
			}}
		}},
}

// pooled has a connection in a pool for each call that was under way at once.
func pooled(t *testing.T, addr string, s *resp.Scripter) core.Scripter {
	var mu sync.Mutex
	var pool []net.Conn
	t.Cleanup(func() {
		for _, c := range pool {
			c.Close()
		}
	})
	take := func() (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(pool) == 0 {
			return net.Dial("tcp", addr)
		}
		c := pool[len(pool)-1]
		pool = pool[:len(pool)-1]
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			c.Close()
			return nil, io.EOF
		}
		return c, nil
	}
	return around{s, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
		c, err := take()
		if err != nil {
			return nil, err
		}
		values, err := next(ctx, script, keys, args)
		mu.Lock()
		pool = append(pool, c)
		mu.Unlock()
		return values, err
	}}
}

// closers are clients whose Close waits, each seen in a child process.
var closers = []struct {
	name  string
	cases string
	dial  func(t *testing.T, addr string) core.Scripter
	says  string
}{
	// A case that has failed leaves its server as it was.
	{"asks-server", "Scripter/StalledServer", func(t *testing.T, addr string) core.Scripter {
		asked, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			defer asked.Close()
			asked.Write([]byte("PING\r\n"))
			asked.Read(make([]byte, 1))
		})
		return around{resp.New(addr), func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
			return next(context.WithoutCancel(ctx), script, keys, args)
		}}
	}, `from a server that says nothing, has not come after(.|\n)*--- FAIL: TestCloserChild/Scripter/StalledServer `},
	{"never-returns", "Scripter/Once", func(t *testing.T, addr string) core.Scripter {
		t.Cleanup(func() { select {} })
		return resp.New(addr)
	}, `panic: TestCloserChild/Scripter/Once: what dial has registered with t.Cleanup, such as the client's Close, has not returned after (.|\n)*breakages_clients_test.go(.|\n)*rule: `},
}

const closerVariable = "REDLATCH_CLOSER"

// TestClosers expects the suite to end, and to say why, where a client's Close does not.
func TestClosers(t *testing.T) {
	conformance.Addrs(t)
	for _, c := range closers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, ok := child(t, "TestCloserChild/"+c.cases, closerVariable+"="+c.name)
			if ok || !regexp.MustCompile(c.says).MatchString(out) || strings.Contains(out, "test timed out") {
				t.Errorf("got ok = %v, want a failure that says %q\n%s", ok, c.says, out)
			}
		})
	}
}

func TestCloserChild(t *testing.T) {
	name := os.Getenv(closerVariable)
	if name == "" {
		t.Skipf("%s is not set: this is the process that TestClosers starts", closerVariable)
	}
	for _, c := range closers {
		if c.name == name {
			conformance.SetPatience(16 * time.Second)
			conformance.Run(t, conformance.Addrs(t), c.dial, &conformance.Options{MaxOverrun: 3 * time.Second})
			return
		}
	}
	t.Fatalf("no closer is called %q", name)
}
