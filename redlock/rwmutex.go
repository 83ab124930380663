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

//go:embed lua/rw.lua
var rwPart string

var rwKind = protocol.NewKind(rwPart, "", "")

// The two sides have the same keys: each holds its own, and looks at the other's.
var (
	writerSpec = hold.Spec{Kind: rwKind, Named: "rw", Param: "w", Hold: "writer", Extra: "readers", Stand: 2, Fenced: true}
	readerSpec = hold.Spec{Kind: rwKind, Named: "rw", Param: "r", Hold: "readers", Extra: "writer", Stand: 2, Shared: true}
)

func init() {
	front.RWMutex = func(g *line.Group, name string) any { return newRWMutex(g, name) }
}

// An RWMutex is a lock that one writer or any number of readers have at a time, on a
// majority of its nodes. Each reader has a lease of its own. Readers and writers are
// let in by the order of their arrival, readers that stand together at the front
// together: a waiting writer stops later readers, and the other way round.
//
// It is stateless and safe for concurrent use. It is not reentrant, and a reader cannot
// become a writer without releasing first.
type RWMutex struct{ write, read *line.Lock }

var _ core.Locker = (*RWMutex)(nil)

// NewRWMutex returns the reader-writer lock of that name on the nodes; see [NewMutex].
func NewRWMutex(nodes []core.Scripter, name string, opts *core.Options) (*RWMutex, error) {
	g, err := line.NewGroup(nodes, opts)
	if err != nil {
		return nil, err
	}
	return newRWMutex(g, name), nil
}

func newRWMutex(g *line.Group, name string) *RWMutex {
	return &RWMutex{g.Lock(name, writerSpec), g.Lock(name, readerSpec)}
}

// Name returns the name that the lock was made with.
func (m *RWMutex) Name() string { return m.write.Name() }

// Lock waits until the caller is the only holder or ctx ends; see [Mutex.Lock].
func (m *RWMutex) Lock(ctx context.Context) (*core.Lease, error) { return m.write.Lock(ctx) }

// TryLock makes one attempt to become the only holder; see [Mutex.TryLock]. It does not
// hold up readers.
func (m *RWMutex) TryLock(ctx context.Context) (*core.Lease, error) { return m.write.TryLock(ctx) }

// RLock waits until the caller is one of the readers or ctx ends. The lease has no
// fencing token.
func (m *RWMutex) RLock(ctx context.Context) (*core.Lease, error) { return m.read.Lock(ctx) }

// TryRLock makes one attempt to become one of the readers. The error is
// [core.ErrNotAcquired] if there is a writer, or one waits. Failing nodes are told as
// by [Mutex.TryLock].
func (m *RWMutex) TryRLock(ctx context.Context) (*core.Lease, error) { return m.read.TryLock(ctx) }

// RLocker returns the reader side as a [core.Locker]: its Lock is RLock, its TryLock
// TryRLock.
func (m *RWMutex) RLocker() core.Locker { return readers{m} }

// Unwrap returns the writer's side underneath, as which [core.LockAll] and [core.Deadlock]
// know it. RLocker's is another.
func (m *RWMutex) Unwrap() core.Locker { return m.write }

// readers is the reader side as a Locker.
type readers struct{ m *RWMutex }

func (r readers) Name() string                                     { return r.m.Name() }
func (r readers) Lock(ctx context.Context) (*core.Lease, error)    { return r.m.RLock(ctx) }
func (r readers) TryLock(ctx context.Context) (*core.Lease, error) { return r.m.TryRLock(ctx) }
func (r readers) Unwrap() core.Locker                              { return r.m.read }
