package redistest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Check(redistest.Main(m))) }

// each runs a test on every kind that can start servers on this machine.
func each(t *testing.T, test func(t *testing.T, kind redistest.Kind)) {
	for _, kind := range []redistest.Kind{redistest.Containers, redistest.Process, redistest.Embedded} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			need(t, kind)
			test(t, kind)
		})
	}
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

// A conn is a connection that speaks just enough of the protocol.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, nil
}

// do sends a command and returns the reply's first line without its end, or for a
// string what it holds.
func (c *conn) do(wait time.Duration, args ...string) (string, error) {
	if err := c.send(args...); err != nil {
		return "", err
	}
	return c.reply(wait)
}

func (c *conn) send(args ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	_, err := io.WriteString(c, b.String())
	return err
}

func (c *conn) reply(wait time.Duration) (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "$") || line == "$-1" {
		return line, nil
	}
	var n int
	if _, err := fmt.Sscanf(line, "$%d", &n); err != nil {
		return "", err
	}
	data := make([]byte, n+2)
	_, err = io.ReadFull(c.r, data)
	return string(data[:n]), err
}

// do sends one command on a connection of its own.
func do(t *testing.T, addr string, args ...string) string {
	t.Helper()
	c, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.do(5*time.Second, args...)
	if err != nil {
		t.Fatalf("%s %v: %v", addr, args, err)
	}
	return got
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// wantRefused checks that nobody listens at addr.
func wantRefused(t *testing.T, addr string) {
	t.Helper()
	c, err := dial(addr)
	if err == nil {
		c.Close()
		t.Fatalf("%s accepts a connection, want it refused", addr)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func wantUnsupported(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, redistest.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

func faults(s *redistest.Server) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Pause": s.Pause, "Resume": s.Resume, "Kill": s.Kill, "Restart": s.Restart, "RestartEmpty": s.RestartEmpty,
	}
}
