package redlatch

import (
	"context"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
	"github.com/redlatch/redlatch/semaphore"
)

type (
	// Options says how locks are held and waited for: Expiry, KeyPrefix, RestartGuard and
	// others. nil and the zero value of each field mean the default.
	Options = core.Options

	// A Scripter is one Redis deployment, bound by the adapter of a client.
	Scripter = core.Scripter

	// A Locker is one way to take a lock: a [*Mutex], a [*RWMutex] or its RLocker, a
	// [Semaphore]'s Locker, or any of them within something. The functions of this package
	// take one.
	Locker = core.Locker

	// A Lease is one acquisition of a lock, extended in the background until Release. Its
	// Context ends when it is lost or released; Lost, ValidUntil, Token, Slot, Name and
	// Members say more.
	Lease = core.Lease

	// A Mutex is a lock that one holder has at a time: Lock, TryLock.
	Mutex = redlock.Mutex

	// An RWMutex is a lock that one writer or any number of readers have at a time: Lock,
	// TryLock, RLock, TryRLock.
	RWMutex = redlock.RWMutex

	// A Semaphore has a number of permits, each held by one holder at a time: Acquire,
	// TryAcquire, Available. It lives on one node.
	Semaphore = semaphore.Semaphore

	// A NodeError is the failure of one node: its index Node among those given to [New], its
	// Addr where that is known, and Err. Where several failed, theirs are joined; errors.As
	// finds the first.
	NodeError = core.NodeError
)

// Every error that the library returns satisfies errors.Is with one of these, with a
// context's error, or wraps a [NodeError].
var (
	// ErrNotAcquired says that others stand in the way, for certain: they hold the lock or
	// were before this call in line. Whatever else keeps a lock from being had is not
	// ErrNotAcquired but the [NodeError] of each node that failed or was silent, joined. So
	// a handler answers "conflict" to the one and "unavailable" to the other.
	ErrNotAcquired = core.ErrNotAcquired

	// ErrLost says that exclusivity could no longer be guaranteed before the lease was
	// released. The error that wraps it names the reason.
	ErrLost = core.ErrLost

	// ErrReleased is the cause of a lease's context after its release.
	ErrReleased = core.ErrReleased

	// ErrInvalid says that the input cannot be served: an option out of its bounds, no
	// nodes, the same server twice, two limits for one semaphore.
	ErrInvalid = core.ErrInvalid

	// ErrDeadlock says that Lock would wait for a lease that its own context carries, and
	// that is not released before Lock returns. See [WithoutLeases].
	ErrDeadlock = core.ErrDeadlock

	// ErrClosed is returned by calls on a closed [Provider]. A [NodeError] that is ErrClosed
	// says that the node's client was closed.
	ErrClosed = core.ErrClosed
)

// Do calls fn while holding l, which it takes with Lock and releases when fn returns, panics
// or ends its goroutine. The context given to fn is a child of ctx that also ends with the
// lease, with its cause: [ErrLost], or [ErrReleased] and [ErrClosed] where the provider was
// closed; it carries the lease ([FromContext]).
//
// Do returns fn's error joined with ErrLost, if the lease was lost, and with the release's
// error. A fn that its context has stopped returns [context.Cause] of it, which tells why,
// and not its Err.
func Do(ctx context.Context, l Locker, fn func(ctx context.Context) error) error {
	return core.Do(ctx, l, fn)
}

// FromContext returns the lease that ctx carries: that of the context which [Do] gives to
// its function, or of [Lease].Context.
func FromContext(ctx context.Context) (*Lease, bool) { return core.FromContext(ctx) }

// Within returns a Locker whose Lock gives up after wait, with an error that is
// [context.DeadlineExceeded], and [ErrNotAcquired] where others have the lock; a wait of 0
// makes one attempt. A negative wait is [ErrInvalid], at Lock.
func Within(l Locker, wait time.Duration) Locker { return core.Within(l, wait) }

// WaitForReady returns a Locker whose Lock waits, until ctx ends, for nodes that do not
// serve at the moment: an outage, a failover, a server that loads its data, a restart guard
// that is not over. Lock alone returns such a failure at once, unless a majority has
// answered in that call. docs/errors.md lists what passes by itself; whatever else is wrong
// is returned at once. When ctx ends meanwhile, the error is the last failure and ctx's
// error. TryLock is one attempt, as ever.
//
// Within(WaitForReady(l), wait) waits that long for both, nodes and others.
func WaitForReady(l Locker) Locker { return core.WaitForReady(l) }

// LockAll takes all of the locks or none, in an order of its own, so that two callers that
// name the same locks cannot deadlock. The lease that it returns ends when any member's
// does, with the same cause; its Release releases every member, past errors, and must be
// called in that case too. Its ValidUntil is the earliest of the members', its Token is 0:
// Members has theirs.
//
// A mutex named twice, or one side of a reader-writer lock, is taken once. [ErrInvalid] are
// a semaphore named twice, both sides of one reader-writer lock, and two different locks of
// one kind and name. If a member is lost while the others are waited for, the error is that
// loss, [ErrLost]. If ctx carries the lease of a member, it is [ErrDeadlock], before
// anything is taken.
func LockAll(ctx context.Context, ls ...Locker) (*Lease, error) { return core.LockAll(ctx, ls...) }

// WithoutLeases returns a context like ctx that carries no lease: [FromContext] finds none,
// and Lock waits for those that ctx carries, where else it returns [ErrDeadlock]. It is for
// a goroutine that may rightly wait for a lease of the code that started it, which goes on
// and releases that lease without waiting for the goroutine. The context still ends as ctx
// does, so with the lease where ctx is that of [Do] or of the lease: such a goroutine takes
// WithoutLeases(context.WithoutCancel(ctx)).
func WithoutLeases(ctx context.Context) context.Context { return core.WithoutLeases(ctx) }
