package redistest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Config says what kind of servers to start. A nil Config is the zero one.
type Config struct {
	// Kind is a kind that the caller insists on, whatever the environment says.
	// Default: as the package comment says.
	Kind Kind

	// Image is the server to start. Default: REDLATCH_IMAGE, else Redis80 for
	// containers and whatever is installed for processes.
	Image Image

	// AppendOnly keeps the data over a restart: every write is in the operating
	// system's hands before it is answered, so a crash of the server, though not of
	// the machine, loses none. Default: no persistence at all.
	AppendOnly bool

	// Args are more flags for real servers, such as "--maxmemory", "10mb".
	// Default: none.
	Args []string
}

// A Group is some servers that were started together.
type Group struct {
	kind     Kind
	note     string // why no better kind was taken
	topology string // "cluster", "sentinel", "sentinels", or ""
	servers  []*Server
}

// Open starts n servers in parallel and returns when all of them answer. ctx
// bounds the start alone. The caller closes the group.
func Open(ctx context.Context, n int, cfg *Config) (*Group, error) {
	if n < 1 {
		return nil, fmt.Errorf("redistest: %d servers: want at least 1", n)
	}
	g, err := prepare(ctx, request{n: n}, cfg)
	if err != nil {
		return nil, err
	}
	if err := g.start(ctx, n, cfg, nil); err != nil {
		return nil, err
	}
	return g, nil
}

// prepare chooses the kind and starts nothing.
func prepare(ctx context.Context, req request, cfg *Config) (*Group, error) {
	if cfg == nil {
		cfg = &Config{}
	}
	req.image = cfg.Image
	kind, note, err := choose(ctx, cfg.Kind, req)
	if err != nil {
		return nil, err
	}
	return &Group{kind: kind, note: note, topology: req.topology}, nil
}

// start adds n servers to the group. vary, if not nil, completes the spec of
// server i, whose port is known by then; it may be called again with another one.
// After an error the group is closed.
func (g *Group) start(ctx context.Context, n int, cfg *Config, vary func(i int, s *spec) error) error {
	if cfg == nil {
		cfg = &Config{}
	}
	servers := make([]*Server, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			// A port may be lost between its choice and the server's bind.
			for range 5 {
				servers[i], errs[i] = g.launch(ctx, i, cfg, vary)
				if !errors.Is(errs[i], errPortTaken) {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, s := range servers {
		if s != nil {
			g.servers = append(g.servers, s)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(fmt.Errorf("redistest: start %s: %w", g.kind, err), g.Close())
	}
	return nil
}

// launch starts one server and waits until it answers.
func (g *Group) launch(ctx context.Context, i int, cfg *Config, vary func(int, *spec) error) (*Server, error) {
	port, free, err := reserve()
	if err != nil {
		return nil, err
	}
	s := &Server{kind: g.kind, free: free, spec: spec{
		image: wanted(cfg.Image), port: port, ident: "redistest-" + rand.Text()[:12],
		appendOnly: cfg.AppendOnly, args: cfg.Args,
	}}
	if g.topology == "cluster" {
		bus, freeBus, err := reserve()
		if err != nil {
			free()
			return nil, err
		}
		s.spec.bus = bus
		s.free = func() { free(); freeBus() }
	}
	if vary != nil {
		s.spec.args = append([]string(nil), cfg.Args...)
		if err := vary(i, &s.spec); err != nil {
			s.free()
			return nil, err
		}
	}
	s.node, err = sources[g.kind].start(ctx, i, s.spec)
	if err != nil {
		s.free()
		return nil, err
	}
	err = s.ready(ctx)
	if err == nil {
		s.version, err = s.describe(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// describe returns the version, and refuses a server that we have started but
// that can be reached from elsewhere.
func (s *Server) describe(ctx context.Context) (string, error) {
	if s.kind != Given {
		host, _, err := net.SplitHostPort(s.Addr())
		if err != nil {
			return "", err
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return "", fmt.Errorf("%s is not a loopback address", s.Addr())
		}
	}
	if s.kind == Embedded {
		return "miniredis", nil
	}
	v, err := version(ctx, s.Addr())
	var reply serverError
	if errors.As(err, &reply) {
		return "unknown version", nil // it wants a password
	}
	return v, err
}

// Kind says where the servers come from.
func (g *Group) Kind() Kind { return g.kind }

// Servers returns the servers in the order of their start. The caller must not
// change the slice.
func (g *Group) Servers() []*Server { return g.servers }

// Addrs returns the servers' addresses, in the same order.
func (g *Group) Addrs() []string { return Addrs(g.servers) }

// Addrs returns the addresses of servers.
func Addrs(servers []*Server) []string {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.Addr()
	}
	return addrs
}

// String says how many servers there are and which.
func (g *Group) String() string {
	noun := "servers"
	switch {
	case g.topology == "cluster":
		noun = "cluster nodes"
	case g.topology == "sentinels":
		noun = "sentinels"
	case len(g.servers) == 1:
		noun = "server"
	}
	text := fmt.Sprintf("%d %s, %s", len(g.servers), noun, g.kind)
	if len(g.servers) > 0 {
		text += ", " + g.servers[0].version
	}
	if g.note != "" {
		text += " (" + g.note + ")"
	}
	return text
}

// Close ends the servers and removes their data. It may be called again.
func (g *Group) Close() error {
	errs := make([]error, len(g.servers))
	var wg sync.WaitGroup
	for i, s := range g.servers {
		wg.Go(func() { errs[i] = s.close() })
	}
	wg.Wait()
	g.servers = nil
	return errors.Join(errs...)
}
