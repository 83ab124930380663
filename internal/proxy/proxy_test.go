package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/internal/proxy"
)

// An echo answers each line with "+line" ("-line" if it begins with "bad") and
// remembers it.
type echo struct {
	listener net.Listener
	mu       sync.Mutex
	lines    []string
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{listener: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { e.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return e
}

func (e *echo) serve(c net.Conn) {
	defer c.Close()
	for in := bufio.NewScanner(c); in.Scan(); {
		e.mu.Lock()
		e.lines = append(e.lines, in.Text())
		e.mu.Unlock()
		sign := "+"
		if strings.HasPrefix(in.Text(), "bad") {
			sign = "-"
		}
		fmt.Fprintf(c, "%s%s\n", sign, in.Text())
	}
}

func (e *echo) seen() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.lines, ",")
}

// A client sends lines through the proxy.
type client struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, p *proxy.Proxy) *client {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := c.c.Write([]byte(text)); err != nil {
		c.t.Fatalf("send %q: %v", text, err)
	}
}

func (c *client) want(line string) {
	c.t.Helper()
	if got, err := c.r.ReadString('\n'); err != nil || got != line+"\n" {
		c.t.Fatalf("got %q, %v, want %q", got, err, line)
	}
}

func (c *client) wantEnd() {
	c.t.Helper()
	got, err := c.r.ReadString('\n')
	var timeout net.Error
	if err == nil || got != "" || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("got %q, %v, want the end of the connection", got, err)
	}
}

// wantRefused accepts both faces of a reset: the dial fails, or the connection ends.
func wantRefused(t *testing.T, p *proxy.Proxy) {
	t.Helper()
	refused := p.Stats().Refused
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		(&client{t, c, bufio.NewReader(c)}).wantEnd()
	}
	await(t, p, func(s proxy.Stats) bool { return s.Refused == refused+1 })
}

func await(t *testing.T, p *proxy.Proxy, ok func(proxy.Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Await(ctx, ok); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T) (*echo, *proxy.Proxy) {
	t.Helper()
	e := newEcho(t)
	p, err := proxy.Start(e.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return e, p
}

func TestForwardAndCount(t *testing.T) {
	_, p := start(t)
	c := dial(t, p)
	for range 3 {
		c.send("hello\n")
		c.want("+hello")
	}
	want := proxy.Stats{Accepted: 1, Open: 1, Requests: 3, Replies: 3, Marked: 3, RequestBytes: 18, ReplyBytes: 21}
	if got := p.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c.c.Close()
	await(t, p, func(s proxy.Stats) bool { return s.Open == 0 })
}

func TestHalfClose(t *testing.T) {
	_, p := start(t)
	c := dial(t, p)
	c.send("last\n")
	c.c.(*net.TCPConn).CloseWrite()
	c.want("+last")
	c.wantEnd()
}

func TestCut(t *testing.T) {
	_, p := start(t)
	a, b := dial(t, p), dial(t, p)
	for _, c := range []*client{a, b} {
		c.send("x\n")
		c.want("+x")
	}
	if n := p.Cut(); n != 2 {
		t.Errorf("Cut: got %d, want 2", n)
	}
	a.wantEnd()
	b.wantEnd()
	c := dial(t, p)
	c.send("y\n")
	c.want("+y")
	if got := p.Stats().Cut; got != 2 {
		t.Errorf("Stats.Cut: got %d, want 2", got)
	}
}

func TestRedirect(t *testing.T) {
	first, p := start(t)
	second := newEcho(t)
	old := dial(t, p)
	old.send("a\n")
	old.want("+a")
	p.Redirect(second.listener.Addr().String())
	c := dial(t, p)
	c.send("b\n")
	c.want("+b")
	old.send("c\n")
	old.want("+c")
	if first.seen() != "a,c" || second.seen() != "b" {
		t.Errorf("got %q and %q, want the old connection to stay and the new one to go on", first.seen(), second.seen())
	}
}

func TestEndAt(t *testing.T) {
	e, p := start(t)
	p.Mark("bad")
	p.EndAt(true)
	for range 2 {
		c := dial(t, p)
		c.send("good\n")
		c.want("+good")
		c.send("bad\n")
		c.wantEnd()
	}
	p.EndAt(false)
	c := dial(t, p)
	c.send("bad\n")
	c.want("-bad")
	if got := e.seen(); got != "good,good,bad" {
		t.Errorf("the server has seen %q, want nothing that ended a connection", got)
	}
	if got := p.Stats().Cut; got != 2 {
		t.Errorf("Stats.Cut: got %d, want 2", got)
	}
}

func TestRefuse(t *testing.T) {
	_, p := start(t)
	old := dial(t, p)
	old.send("x\n")
	old.want("+x")
	p.Refuse()
	wantRefused(t, p)
	old.send("y\n")
	old.want("+y")
	p.Accept()
	c := dial(t, p)
	c.send("z\n")
	c.want("+z")
}

// A connection that is being made when the others are cut is a new one.
func TestRefuseWhileDialling(t *testing.T) {
	_, p := start(t)
	p.Dialling(func() {
		p.Refuse()
		p.Cut()
	})
	wantRefused(t, p)
}

func TestRefuseUnreachable(t *testing.T) {
	e, p := start(t)
	e.listener.Close()
	wantRefused(t, p)
}

func TestStall(t *testing.T) {
	tests := []struct {
		name string
		d    proxy.Direction
		seen string // by the server, during the stall
	}{
		{"requests", proxy.Requests, "a"},
		{"replies", proxy.Replies, "a,b"},
		{"both", proxy.Both, "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, p := start(t)
			c := dial(t, p)
			c.send("a\n")
			c.want("+a")
			p.Stall(tt.d)
			c.send("b\n")
			await(t, p, func(s proxy.Stats) bool {
				return s.Requests == 2 && (tt.d != proxy.Replies || s.Replies == 2)
			})
			c.c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := c.r.Peek(1); err == nil {
				t.Error("a reply came through the stall")
			}
			if got := e.seen(); got != tt.seen {
				t.Errorf("the server saw %q, want %q", got, tt.seen)
			}
			c.c.SetReadDeadline(time.Now().Add(10 * time.Second))
			p.Resume()
			c.want("+b")
			p.Stall(tt.d)
			c.send("c\n")
			p.Cut()
			c.wantEnd()
		})
	}
}

func TestDelay(t *testing.T) {
	_, p := start(t)
	p.Delay(50 * time.Millisecond)
	c := dial(t, p)
	begin := time.Now()
	c.send("a\n")
	c.want("+a")
	if got := time.Since(begin); got < 50*time.Millisecond {
		t.Errorf("the reply took %v, want at least 50ms", got)
	}
}

func TestDropReply(t *testing.T) {
	e, p := start(t)
	p.Mark("mark")
	p.DropReply()
	other, c := dial(t, p), dial(t, p)
	other.send("ping\n")
	other.want("+ping")
	c.send("a ma") // split over two pieces
	await(t, p, func(s proxy.Stats) bool { return s.Requests == 2 })
	c.send("rk\n")
	c.wantEnd()
	if got, want := e.seen(), "ping,a mark"; got != want {
		t.Errorf("the server saw %q, want %q", got, want)
	}
	c = dial(t, p)
	c.send("b mark\n")
	c.want("+b mark")
	if got := p.Stats(); got.Dropped != 1 || got.Marked != 2 || got.Cut != 1 {
		t.Errorf("got %+v, want 1 dropped, 2 marked, 1 cut", got)
	}
}

func TestDuplicate(t *testing.T) {
	e, p := start(t)
	p.Mark("mark")
	p.Duplicate(true)
	c := dial(t, p)
	for _, line := range []string{"other", "mark", "bad mark"} {
		c.send(line + "\n")
		c.r.Discard(1)
		c.want(line)
	}
	p.Duplicate(false)
	c.send("mark\n")
	c.want("+mark")
	if got, want := e.seen(), "other,mark,mark,bad mark,bad mark,mark"; got != want {
		t.Errorf("the server saw %q, want %q", got, want)
	}
	if got := p.Stats().Duplicated; got != 1 {
		t.Errorf("Duplicated: got %d, want 1: an error answer is not counted", got)
	}
}

func TestAwaitEnds(t *testing.T) {
	_, p := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Await(ctx, func(proxy.Stats) bool { return false })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestClose relies on Close waiting for the proxy's goroutines: a stalled one
// that did not end would keep it from returning.
func TestClose(t *testing.T) {
	_, p := start(t)
	c := dial(t, p)
	p.Stall(proxy.Both)
	c.send("a\n")
	await(t, p, func(s proxy.Stats) bool { return s.Requests == 1 })
	p.Close()
	c.wantEnd()
	p.Close()
	if _, err := net.Dial("tcp", p.Addr()); err == nil {
		t.Error("a closed proxy accepts")
	}
}
