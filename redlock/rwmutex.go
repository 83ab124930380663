package redlock

import (
	"context"
	_ "embed"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/claim"
	"github.com/redlatch/redlatch/internal/quorum"
	"github.com/redlatch/redlatch/internal/script"
)

//go:embed lua/rw.lua
var rwPart string

var rwKind = script.NewKind(rwPart, "", "")

// An RWMutex is a lock that one writer or any number of readers have at a time, on a
// majority of its nodes. Each reader has a lease of its own. Readers and writers are
// let in by the order of their arrival, readers that stand together at the front
// together: a waiting writer stops later readers, and the other way round.
//
// It is stateless and safe for concurrent use. It is not reentrant, and a reader cannot
// become a writer without releasing first.
type RWMutex struct{ write, read *quorum.Lock }

var _ core.Locker = (*RWMutex)(nil)

// NewRWMutex returns the reader-writer lock of that name on the nodes; see [NewMutex].
func NewRWMutex(nodes []core.Scripter, name string, opts *core.Options) (*RWMutex, error) {
	l, err := quorum.NewLock(nodes, name, opts, quorum.Spec{
		Kind: rwKind, Named: "rw", Param: "w", Hold: "writer", Extra: "readers", Fenced: true,
	})
	if err != nil {
		return nil, err
	}
	return &RWMutex{l, l.Reader()}, nil
}

// LockID lets [core.LockAll] tell locks apart; that of RLocker is another.
func (m *RWMutex) LockID() claim.ID { return m.write.ID }

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
// [core.ErrNotAcquired] if there is a writer, or one waits.
func (m *RWMutex) TryRLock(ctx context.Context) (*core.Lease, error) { return m.read.TryLock(ctx) }

// RLocker returns the reader side as a [core.Locker]: its Lock is RLock, its TryLock
// TryRLock.
func (m *RWMutex) RLocker() core.Locker { return m.read }
