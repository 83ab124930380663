package semaphore

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"strconv"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/front"
	"github.com/redlatch/redlatch/internal/hold"
	"github.com/redlatch/redlatch/internal/line"
	"github.com/redlatch/redlatch/internal/protocol"
)

//go:embed lua/semaphore.lua
var part string

//go:embed lua/available.lua
var availableSource string

var (
	kind            = protocol.NewKind(part, "", "")
	availableScript = kind.Verb(availableSource)
)

// A Semaphore has a number of permits, each held by one holder at a time, on one node.
// It is stateless and safe for concurrent use; each acquisition has its own lease.
//
// The permits are the sorted set at exactly the semaphore's key, prefix and name: owner,
// scored with the server's time in milliseconds at which the permit ends.
type Semaphore struct {
	lock  *line.Lock
	limit int
}

// New returns the semaphore of that name, with limit permits, on the node. The limit is
// from 1 to 2^31 - 1; it is stored with the name and binds while somebody holds a permit
// or waits. Nothing is sent. The error is [core.ErrInvalid]: a node that is nil or cannot
// serve, a limit or an option out of its bounds.
func New(node core.Scripter, name string, limit int, opts *core.Options) (*Semaphore, error) {
	spec, err := limited(name, limit)
	if err != nil {
		return nil, err
	}
	l, err := line.NewLock([]core.Scripter{node}, name, opts, spec)
	if err != nil {
		return nil, err
	}
	return &Semaphore{l, limit}, nil
}

// limited returns what a semaphore of that limit is.
func limited(name string, limit int) (hold.Spec, error) {
	if limit < 1 || limit > math.MaxInt32 {
		return hold.Spec{}, fmt.Errorf("%w: the limit of semaphore %q is %d, 1 to %d wanted", core.ErrInvalid, name, limit, math.MaxInt32)
	}
	return hold.Spec{
		Kind: kind, Named: "semaphore", Param: strconv.Itoa(limit), Means: "limit", Stand: 3, Extra: "slots", Fenced: true, Permits: limit,
	}, nil
}

func init() {
	front.Semaphore = func(g *line.Group, name string, limit int) (any, error) {
		spec, err := limited(name, limit)
		if err != nil {
			return nil, err
		}
		return &Semaphore{g.LockOnFirst(name, spec), limit}, nil
	}
}

// Name returns the name that the semaphore was made with.
func (s *Semaphore) Name() string { return s.lock.Name() }

// Limit returns the number of permits.
func (s *Semaphore) Limit() int { return s.limit }

// Acquire waits until a permit is held or ctx ends, in the order of arrival. The lease's
// Slot is a number below the limit that no other live holder has. If others hold all
// permits until ctx ends, the error is [core.ErrNotAcquired] and ctx's error; if
// another limit is in force, it is [core.ErrInvalid] and names both; the failure of the
// node is a [core.NodeError], and ctx's error where that has ended.
func (s *Semaphore) Acquire(ctx context.Context) (*core.Lease, error) { return s.lock.Lock(ctx) }

// TryAcquire makes one attempt. The error is [core.ErrNotAcquired] if no permit is free,
// or those that are free are waited for, and a [core.NodeError] if the node failed.
func (s *Semaphore) TryAcquire(ctx context.Context) (*core.Lease, error) {
	return s.lock.TryLock(ctx)
}

// Available returns how many permits are free now, by the server's clock: the limit less
// the live permits. It takes none and is out of date when it returns. The error is a
// [core.NodeError], [core.ErrInvalid] if another limit is in force, [core.ErrClosed], or
// ctx's own.
func (s *Semaphore) Available(ctx context.Context) (int, error) {
	n, err := s.lock.Read(ctx, availableScript)
	return int(n), err
}

// Locker returns the semaphore as a [core.Locker]: its Lock is Acquire, its TryLock
// TryAcquire.
func (s *Semaphore) Locker() core.Locker { return permits{s} }

// permits is the semaphore as a Locker.
type permits struct{ s *Semaphore }

func (p permits) Name() string                                     { return p.s.Name() }
func (p permits) Lock(ctx context.Context) (*core.Lease, error)    { return p.s.Acquire(ctx) }
func (p permits) TryLock(ctx context.Context) (*core.Lease, error) { return p.s.TryAcquire(ctx) }
func (p permits) Unwrap() core.Locker                              { return p.s.lock }
