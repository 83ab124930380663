package redlock

import (
	"context"
	_ "embed"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/front"
	"github.com/redlatch/redlatch/internal/hold"
	"github.com/redlatch/redlatch/internal/line"
	"github.com/redlatch/redlatch/internal/protocol"
)

//go:embed lua/mutex.lua
var mutexPart string

//go:embed lua/mutex_acquire.lua
var mutexAcquire string

//go:embed lua/mutex_release.lua
var mutexRelease string

var mutexSpec = hold.Spec{
	Kind: protocol.NewKind(mutexPart, mutexAcquire, mutexRelease), Named: "mutex", Param: "w", Stand: 2, Fenced: true,
}

func init() {
	front.Mutex = func(g *line.Group, name string) any { return &Mutex{g.Lock(name, mutexSpec)} }
}

// A Mutex is a lock that one holder has at a time, on a majority of its nodes. It is
// stateless and safe for concurrent use; each acquisition has its own lease. It is not
// reentrant.
//
// On each node the hold is the string at exactly the lock's key, prefix and name, set
// with a TTL, so that it and every lock of the SET NX PX layout exclude each other on
// one name.
type Mutex struct{ lock *line.Lock }

var _ core.Locker = (*Mutex)(nil)

// NewMutex returns the mutex of that name on the nodes, independent Redis deployments
// of which a majority decides. Any name will do. Nothing is sent. The error is
// [core.ErrInvalid]: no nodes, one that is nil, given twice or cannot serve, or an
// option out of its bounds. That two nodes are the same server is found by the first
// call.
func NewMutex(nodes []core.Scripter, name string, opts *core.Options) (*Mutex, error) {
	l, err := line.NewLock(nodes, name, opts, mutexSpec)
	if err != nil {
		return nil, err
	}
	return &Mutex{l}, nil
}

// Name returns the name that the mutex was made with.
func (m *Mutex) Name() string { return m.lock.Name() }

// Lock waits until the mutex is held or ctx ends, in the order of arrival. If it is held
// by others until then, the error is [core.ErrNotAcquired] and ctx's error.
//
// The failures of nodes, each a [core.NodeError], are returned at once until a majority
// has answered once in this call; after that a node that cannot be reached, is not ready
// or refuses this client's rights is ridden out until ctx ends: docs/errors.md lists what
// is. [core.WaitForReady] rides out what passes by itself from the first call on.
func (m *Mutex) Lock(ctx context.Context) (*core.Lease, error) { return m.lock.Lock(ctx) }

// TryLock makes one attempt. The error is [core.ErrNotAcquired] if the mutex is held, or
// waited for, by others, and the [core.NodeError] of each node that failed if these decide.
func (m *Mutex) TryLock(ctx context.Context) (*core.Lease, error) { return m.lock.TryLock(ctx) }

// Unwrap returns the lock underneath, as which [core.LockAll] and [core.Deadlock] know it.
func (m *Mutex) Unwrap() core.Locker { return m.lock }
