package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A Kind says where servers come from.
type Kind string

// The kinds, in the order in which they are tried. Their text is what
// REDLATCH_SERVERS and REDLATCH_REQUIRED hold.
const (
	Given      Kind = "addrs"      // somebody else's, by address
	Containers Kind = "containers" // in a container engine
	Process    Kind = "process"    // child processes
	Embedded   Kind = "embedded"   // miniredis in this process
)

// ErrUnsupported says that servers are there, but of a kind that cannot do what
// was asked: a fault on a given address, an image that is not installed. [Start]
// and its siblings skip the test then, and count it.
var ErrUnsupported = errors.New("not possible with this kind of servers")

// A request is what a caller wants to start.
type request struct {
	n        int
	topology string // "cluster", "sentinel", or "" for servers on their own
	image    Image  // the caller's choice; may be empty
}

// A source starts servers of one kind.
type source interface {
	// serves reports why the kind cannot serve req, wrapping ErrUnsupported
	// where the reason is the request and not the machine.
	serves(ctx context.Context, req request) error
	// start starts one server and returns once it runs; the caller waits until
	// it answers. i counts the servers of one request.
	start(ctx context.Context, i int, spec spec) (node, error)
}

var sources = map[Kind]source{
	Given:      given{},
	Containers: &engine,
	Process:    process{},
	Embedded:   embedded{},
}

// choose finds the kind that serves req, as the package comment says. want is
// the caller's own choice and may be empty. The string tells why better kinds
// were passed over.
func choose(ctx context.Context, want Kind, req request) (Kind, string, error) {
	kind, where, err := explicit(want)
	if err != nil {
		return "", "", err
	}
	if kind != "" {
		if err := sources[kind].serves(ctx, req); err != nil {
			return "", "", fmt.Errorf("redistest: %s asks for %s: %w", where, kind, err)
		}
		return kind, "", nil
	}
	var reasons []string
	var errs []error
	for _, kind := range []Kind{Given, Containers, Process, Embedded} {
		if kind == Given && os.Getenv("REDLATCH_ADDRS") == "" {
			continue
		}
		err := sources[kind].serves(ctx, req)
		if err == nil && kind == Embedded {
			err = lastResort()
		}
		if err == nil {
			return kind, strings.Join(reasons, "; "), nil
		}
		if kind == Given && !errors.Is(err, ErrUnsupported) {
			return "", "", fmt.Errorf("redistest: REDLATCH_ADDRS: %w", err)
		}
		reasons = append(reasons, fmt.Sprintf("%s: %v", kind, err))
		errs = append(errs, fmt.Errorf("%s: %w", kind, err))
	}
	return "", "", fmt.Errorf("redistest: no servers: %w", errors.Join(errs...))
}

// lastResort reports why miniredis must not stand in for what is not there.
func lastResort() error {
	if os.Getenv("CI") != "" {
		return errors.New("not by itself in CI; REDLATCH_SERVERS=embedded allows it")
	}
	if image := os.Getenv("REDLATCH_IMAGE"); image != "" {
		return fmt.Errorf("miniredis is not REDLATCH_IMAGE=%s", image)
	}
	return nil
}

// explicit returns the kind that the caller or the environment insists on, and
// who did.
func explicit(want Kind) (Kind, string, error) {
	if want != "" {
		if _, ok := sources[want]; !ok {
			return "", "", fmt.Errorf("redistest: Config.Kind %q: want addrs, containers, process or embedded", want)
		}
		return want, "Config.Kind", nil
	}
	var kind Kind
	var where string
	for _, name := range []string{"REDLATCH_REQUIRED", "REDLATCH_SERVERS"} {
		value := Kind(os.Getenv(name))
		if value == "" {
			continue
		}
		if _, ok := sources[value]; !ok {
			return "", "", fmt.Errorf("redistest: %s=%s: want addrs, containers, process or embedded", name, value)
		}
		if kind != "" && kind != value {
			return "", "", fmt.Errorf("redistest: %s=%s, but %s=%s", name, value, where, kind)
		}
		kind, where = value, name
	}
	return kind, where, nil
}
