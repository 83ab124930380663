package redlatch

import (
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/quorum"
	"github.com/redlatch/redlatch/redlock"
	"github.com/redlatch/redlatch/semaphore"
)

// A Provider makes locks that share one set of nodes, the options, and what is learnt of
// the nodes. It is safe for concurrent use.
type Provider struct {
	set *quorum.Set
}

// New returns a provider of locks on the nodes: one Redis deployment, or several
// independent ones, of which a majority decides. Nothing is sent. opts may be nil. The
// error is [core.ErrInvalid]; see [redlock.NewMutex].
func New(nodes []core.Scripter, opts *core.Options) (*Provider, error) {
	set, err := quorum.New(nodes, opts)
	if err != nil {
		return nil, err
	}
	return &Provider{set}, nil
}

// Mutex returns the mutex of that name. The error is nil.
func (p *Provider) Mutex(name string) (*redlock.Mutex, error) {
	return redlock.NewMutex(p.set.Nodes(), name, nil)
}

// RWMutex returns the reader-writer lock of that name. The error is nil.
func (p *Provider) RWMutex(name string) (*redlock.RWMutex, error) {
	return redlock.NewRWMutex(p.set.Nodes(), name, nil)
}

// Semaphore returns the semaphore of that name with limit permits. It lives on the first
// node alone, since permits cannot be counted by majorities. A mutex of that name would be
// at the same key: use another name. The error is [core.ErrInvalid]: a limit out of its
// bounds.
func (p *Provider) Semaphore(name string, limit int) (*semaphore.Semaphore, error) {
	return semaphore.New(p.set.Nodes()[0], name, limit, nil)
}

// Close ends waiting calls with [core.ErrClosed] and releases every lease, whose context
// then ends with a cause that is [core.ErrReleased] and ErrClosed. It returns when that
// is done, at the latest after Expiry - MinValidity, with the errors of the releases,
// joined. Calls that come later fail with ErrClosed; a second Close does nothing. The
// clients stay open.
func (p *Provider) Close() error { return p.set.Close() }
