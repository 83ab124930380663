package redistest

import (
	"crypto/rand"
	"net"
	"os"
	"testing"
)

// TestPublished runs a container as Docker Desktop and rootless engines need it:
// not on this machine's network, but with its port published on loopback, where
// the engine's proxy accepts connections before the server does.
func TestPublished(t *testing.T) {
	t.Parallel()
	var e containers
	if err := e.serves(t.Context(), request{n: 1}); err != nil {
		if os.Getenv("REDLATCH_REQUIRED") == string(Containers) {
			t.Fatal(err)
		}
		LeaveOut(t, "%v", err)
	}
	e.hostNet = false
	if err := e.serves(t.Context(), request{n: 3, topology: "cluster"}); err == nil {
		t.Error("a cluster without host networking: want an error")
	}
	port, free, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{kind: Containers, free: free, spec: spec{port: port, ident: "redistest-" + rand.Text()[:12], appendOnly: true}}
	s.node, err = e.start(t.Context(), 0, s.spec)
	if err != nil {
		free()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	get := func() any {
		t.Helper()
		got, err := call(t.Context(), s.Addr(), "GET", "k")
		must(err)
		return got
	}
	_, err = call(t.Context(), s.Addr(), "SET", "k", "v")
	must(err)
	must(s.Pause(t.Context()))
	if got, err := callWithin(t.Context(), retried, s.Addr(), "PING"); err == nil {
		t.Errorf("PING to a paused server: got %v", got)
	}
	must(s.Resume(t.Context()))
	must(s.Kill(t.Context()))
	if c, err := net.Dial("tcp", s.Addr()); err == nil {
		c.Close()
		t.Error("a killed server accepts a connection")
	}
	must(s.Restart(t.Context()))
	if got := get(); got != "v" {
		t.Errorf("GET after Restart: got %v, want v", got)
	}
	must(s.RestartEmpty(t.Context()))
	if got := get(); got != nil {
		t.Errorf("GET after RestartEmpty: got %v, want nothing", got)
	}
}
