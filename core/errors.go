package core

import (
	"errors"
	"fmt"
)

// The errors of redlatch. Every error that the library returns satisfies
// errors.Is with one of them, with a context's error, or wraps a [NodeError].
var (
	// ErrNotAcquired says that the lock is held, or waited for, by others. When the
	// call ended because its context did, the error is also that context's error;
	// where a [NodeError] is in it too, nodes that failed or were silent might have
	// granted the lock.
	ErrNotAcquired = errors.New("redlatch: not acquired")

	// ErrLost says that exclusivity could no longer be guaranteed before the lease
	// was released. The error that wraps it names the reason.
	ErrLost = errors.New("redlatch: lease lost")

	// ErrReleased is the cause of a lease's context after its release.
	ErrReleased = errors.New("redlatch: lease released")

	// ErrNoScript is returned by [Scripter].EvalSha for a script that the server has
	// not cached. Users of locks do not see it.
	ErrNoScript = errors.New("redlatch: script not cached")

	// ErrInvalid says that the input cannot be served: an option out of its bounds,
	// no nodes, the same server twice, two limits for one semaphore.
	ErrInvalid = errors.New("redlatch: invalid")

	// ErrClosed is returned by calls on a closed provider.
	ErrClosed = errors.New("redlatch: closed")
)

// A NodeError is the failure of one node. Where several failed, theirs are joined.
type NodeError struct {
	Node int   // index of the node in the slice given to the constructor
	Err  error // what the client returned, or what the library found
}

func (e *NodeError) Error() string { return fmt.Sprintf("redlatch: node %d: %v", e.Node, e.Err) }

// Unwrap returns Err.
func (e *NodeError) Unwrap() error { return e.Err }
