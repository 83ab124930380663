//go:build !unix

package redistest

import (
	"context"
	"errors"
)

// On this system there are no signals to stop a process with, and no shell to
// build images with: containers from images that are there and the embedded kind
// are all there is.

var errSystem = errors.New("not on this operating system")

type process struct{}

func (process) serves(context.Context, request) error          { return errSystem }
func (process) start(context.Context, int, spec) (node, error) { return nil, errSystem }
func lock(context.Context, string) (unlock func(), err error)  { return nil, errSystem }
