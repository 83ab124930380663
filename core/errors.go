package core

import (
	"errors"

	"github.com/redlatch/redlatch/internal/failure"
)

// The errors of redlatch. Every error that the library returns satisfies
// errors.Is with one of them, with a context's error, or wraps a [NodeError].
var (
	// ErrNotAcquired says that others stand in the way, for certain: they hold the lock
	// or were before this call in line. Whatever else keeps a lock from being had is not
	// ErrNotAcquired but the [NodeError] of each node that failed or was silent, joined.
	// So a handler answers "conflict" to the one and "unavailable" to the other.
	//
	// For certain is what holds however the nodes that failed would have answered: no
	// majority could have granted; or the node whose line gives the order said so, and
	// no majority is known to fail; or another call of this process is before this one
	// in line, whose last attempt did not fail. With five nodes, of which two grant, one
	// refuses and two are down, the outage decides.
	//
	// Where a call ended because its context did, either error is that context's error,
	// too. A context that had ended before anything was sent is neither of them.
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

	// ErrDeadlock says that Lock would wait for a lease that its own context carries, and
	// that is not released before Lock returns. The error that wraps it names both. Where
	// another goroutine releases that lease, [WithoutLeases] lets Lock wait.
	ErrDeadlock = errors.New("redlatch: deadlock")

	// ErrClosed is returned by calls on a closed provider. A [NodeError] that is
	// ErrClosed says that the node's client was closed; no waiting mends either.
	ErrClosed = errors.New("redlatch: closed")
)

// A NodeError is the failure of one node. Where several failed, theirs are joined.
type NodeError struct {
	Node int    // index of the node among those given to the constructor
	Addr string // where the node is, if its [Scripter] is an [Addresser]; "" is not known
	Err  error  // what the client returned, or what the library found
}

func (e *NodeError) Error() string {
	addr := ""
	if e.Addr != "" {
		addr = " (" + e.Addr + ")"
	}
	return failure.Errorf("redlatch: node %d%s: %w", e.Node, addr, e.Err).Error()
}

// Unwrap returns Err.
func (e *NodeError) Unwrap() error { return e.Err }
