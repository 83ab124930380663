package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// given is the kind that starts nothing: REDLATCH_ADDRS says where servers are.
type given struct{}

func (given) addrs() []string {
	var addrs []string
	for addr := range strings.SplitSeq(os.Getenv("REDLATCH_ADDRS"), ",") {
		if addr = strings.TrimSpace(addr); addr != "" {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func (g given) serves(ctx context.Context, req request) error {
	addrs := g.addrs()
	switch {
	case len(addrs) == 0:
		return errors.New("REDLATCH_ADDRS is empty")
	case req.topology != "":
		return fmt.Errorf("given addresses are no %s of ours: %w", req.topology, ErrUnsupported)
	case req.n > len(addrs):
		return fmt.Errorf("it has %d addresses, %d are needed", len(addrs), req.n)
	case req.image != "":
		v, err := version(ctx, addrs[0])
		if err != nil {
			return err
		}
		if !req.image.matches(v) {
			return fmt.Errorf("%s is %s, not %s: %w", addrs[0], v, req.image, ErrUnsupported)
		}
	}
	return nil
}

func (g given) start(_ context.Context, i int, _ spec) (node, error) {
	return givenNode(g.addrs()[i]), nil
}

type givenNode string

func (n givenNode) addr() string                      { return string(n) }
func (givenNode) ended(context.Context) error         { return nil }
func (givenNode) pause(context.Context) error         { return ErrUnsupported }
func (givenNode) resume(context.Context) error        { return ErrUnsupported }
func (givenNode) kill(context.Context) error          { return ErrUnsupported }
func (givenNode) restart(context.Context, bool) error { return ErrUnsupported }
func (givenNode) remove() error                       { return nil }
