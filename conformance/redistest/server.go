package redistest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A Server is one running server and the means to break it.
//
// The faults return once they have taken effect. A context that ends before that
// leaves the server in between; Restart repairs that. They are safe for
// concurrent use and run one after another. All of them are ErrUnsupported where
// [Server.CanFault] is false.
type Server struct {
	kind    Kind
	version string
	spec    spec
	node    node
	free    func() // gives the port back

	mu    sync.Mutex
	state state
}

type state int

const (
	running state = iota
	paused
	down
)

// A spec says how to start one server.
type spec struct {
	image      Image
	port       int
	bus        int    // port of the cluster bus; not 0: the server is part of a cluster
	ident      string // unique; how a server is told from a stranger on its port
	appendOnly bool
	args       []string
	sentinel   string // configuration; not empty: the server is a sentinel
}

// flags are the server's flags: dir is where it keeps data.
func (s spec) flags(port int, dir string) []string {
	if s.sentinel != "" {
		return nil
	}
	appendOnly := "no"
	if s.appendOnly {
		appendOnly = "yes"
	}
	flags := []string{
		"--port", fmt.Sprint(port), "--dir", dir, "--save", "",
		// No fsync, so that every write reaches the file before its answer goes out:
		// with everysec a write waits while an fsync is under way, and a crash of the
		// process loses what was answered meanwhile.
		"--appendonly", appendOnly, "--appendfsync", "no",
		"--enable-debug-command", "local", "--syslog-ident", s.ident,
	}
	if s.bus != 0 {
		flags = append(flags, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(s.bus),
			"--cluster-announce-ip", "127.0.0.1", "--cluster-node-timeout", "5000")
	}
	return append(flags, s.args...)
}

// A node is a server as its kind sees it. Its methods are called one at a time.
type node interface {
	addr() string
	// ended returns nil while the server runs, else why it does not.
	ended(ctx context.Context) error
	pause(ctx context.Context) error
	resume(ctx context.Context) error
	// kill ends a server, paused or not, without warning; its data stays.
	kill(ctx context.Context) error
	// restart starts a killed server again, on its data or on none.
	restart(ctx context.Context, empty bool) error
	// remove ends the server, whatever it does, and leaves nothing behind.
	remove() error
}

// Addr is host:port, on loopback unless it was given; it outlives restarts.
func (s *Server) Addr() string { return s.node.addr() }

// Kind says where the server comes from.
func (s *Server) Kind() Kind { return s.kind }

// Version is what the server called itself when it started, such as
// "redis 7.0.15" or "valkey 8.1.1".
func (s *Server) Version() string { return s.version }

// CanFault reports whether the server can be paused, killed and restarted:
// those at given addresses cannot.
func (s *Server) CanFault() bool { return s.kind != Given }

// Real reports whether this is a server of its own. miniredis is not: it knows
// fewer commands, no users, no cluster and no persistence.
func (s *Server) Real() bool { return s.kind != Embedded }

// Pause makes the server hang: it accepts connections and never answers.
// A paused server stays so.
func (s *Server) Pause(ctx context.Context) error {
	return s.fault(ctx, "pause", func() error {
		switch s.state {
		case paused:
			return nil
		case down:
			return errors.New("it is down")
		}
		if err := s.node.pause(ctx); err != nil {
			return err
		}
		s.state = paused
		return nil
	})
}

// Resume ends a pause; the server then works off what has arrived meanwhile.
// A running server stays so.
func (s *Server) Resume(ctx context.Context) error {
	return s.fault(ctx, "resume", func() error {
		switch s.state {
		case running:
			return nil
		case down:
			return errors.New("it is down")
		}
		if err := s.node.resume(ctx); err != nil {
			return err
		}
		s.state = running
		return nil
	})
}

// Kill crashes the server, paused or not: its connections end and its port
// refuses. A server that is down stays so.
func (s *Server) Kill(ctx context.Context) error {
	return s.fault(ctx, "kill", func() error { return s.kill(ctx) })
}

// Restart crashes the server if it still runs, starts it again at the same
// address and returns when it answers. It has its data if Config.AppendOnly was
// set, and is empty otherwise.
func (s *Server) Restart(ctx context.Context) error {
	return s.fault(ctx, "restart", func() error { return s.restart(ctx, false) })
}

// RestartEmpty is Restart, but the server has lost its data in any case; a
// cluster's node has forgotten the cluster.
func (s *Server) RestartEmpty(ctx context.Context) error {
	return s.fault(ctx, "restart empty", func() error { return s.restart(ctx, true) })
}

func (s *Server) fault(ctx context.Context, name string, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := ctx.Err()
	if err == nil && !s.CanFault() {
		err = ErrUnsupported
	}
	if err == nil {
		err = do()
	}
	if err != nil {
		return fmt.Errorf("redistest: %s %s (%s): %w", name, s.Addr(), s.kind, err)
	}
	return nil
}

func (s *Server) kill(ctx context.Context) error {
	if s.state == down {
		return nil
	}
	if err := s.node.kill(ctx); err != nil {
		return err
	}
	s.state = down
	return nil
}

func (s *Server) restart(ctx context.Context, empty bool) error {
	if err := s.kill(ctx); err != nil {
		return err
	}
	if err := s.node.restart(ctx, empty); err != nil {
		return err
	}
	s.state = running
	return s.ready(ctx)
}

// errPortTaken says that another program got the server's port first.
var errPortTaken = errors.New("the port is taken")

// ready waits, for 30 s at most, until this server and no stranger answers a
// PING. It returns at once when the server has ended.
func (s *Server) ready(ctx context.Context) error {
	patience := 30 * time.Second
	if s.kind == Given {
		patience = 3 * time.Second // nobody is starting it now
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var why error
	err := until(ctx, func() error {
		err := s.ping(ctx)
		if err != nil && ctx.Err() == nil {
			why = s.node.ended(ctx)
		}
		if why != nil {
			return nil // no use in waiting
		}
		return err
	})
	switch {
	case why != nil && strings.Contains(why.Error(), "ddress already in use"):
		return fmt.Errorf("%w: %w", errPortTaken, why)
	case why != nil:
		return why
	case err != nil:
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}

func (s *Server) ping(ctx context.Context) error {
	_, err := callWithin(ctx, retried, s.Addr(), "PING")
	var reply serverError
	if errors.As(err, &reply) && strings.HasPrefix(string(reply), "NOAUTH") {
		return nil // it wants a password, so it is up
	}
	if err != nil || s.kind == Given || s.kind == Embedded || s.spec.sentinel != "" {
		return err
	}
	got, err := callWithin(ctx, retried, s.Addr(), "CONFIG", "GET", "syslog-ident")
	if err != nil {
		return err
	}
	if pair, ok := got.([]any); !ok || len(pair) != 2 || pair[1] != s.spec.ident {
		return fmt.Errorf("%s: another server answers there: %v", s.Addr(), got)
	}
	return nil
}

// close ends the server for good.
func (s *Server) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = down
	err := s.node.remove()
	s.free()
	if err != nil {
		return fmt.Errorf("redistest: stop %s (%s): %w", s.Addr(), s.kind, err)
	}
	return nil
}
