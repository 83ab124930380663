package redlatch

import (
	"github.com/redlatch/redlatch/internal/front"
	"github.com/redlatch/redlatch/internal/line"
)

// A Provider makes locks that share one set of nodes, the options, and what is learnt of
// the nodes. It is safe for concurrent use.
type Provider struct {
	set *line.Group
}

// New returns a provider of locks on the nodes: one Redis deployment, or several
// independent ones, of which a majority decides. Nothing is sent. opts may be nil, for the
// defaults. The error is [ErrInvalid]: no nodes, one that is nil, given twice or cannot
// serve, or an option out of its bounds. That two nodes are the same server is found by the
// first call.
func New(opts *Options, nodes ...Scripter) (*Provider, error) {
	set, err := line.NewGroup(nodes, opts)
	if err != nil {
		return nil, err
	}
	return &Provider{set}, nil
}

// Mutex returns the mutex of that name. Any name will do, and nothing is sent.
func (p *Provider) Mutex(name string) *Mutex { return front.Mutex(p.set, name).(*Mutex) }

// RWMutex returns the reader-writer lock of that name. Any name will do, and nothing is
// sent. A mutex of that name is another lock.
func (p *Provider) RWMutex(name string) *RWMutex { return front.RWMutex(p.set, name).(*RWMutex) }

// Semaphore returns the semaphore of that name with limit permits. It lives on the first
// node alone, since permits cannot be counted by majorities. A mutex of that name would be
// at the same key: use another name. Nothing is sent. The error is [ErrInvalid]: a limit
// that is not from 1 to 2^31 - 1. That another limit is in force is told by [Semaphore]'s
// methods.
func (p *Provider) Semaphore(name string, limit int) (*Semaphore, error) {
	s, err := front.Semaphore(p.set, name, limit)
	if err != nil {
		return nil, err
	}
	return s.(*Semaphore), nil
}

// Close ends waiting calls with [ErrClosed] and releases every lease, whose context
// then ends with a cause that is [ErrReleased] and ErrClosed. It returns when that
// is done, with the errors of the releases, joined; or when no release was confirmed for
// Expiry - MinValidity, at the latest after Expiry: what is left on the nodes by then ends
// there by itself. Calls that come later fail with ErrClosed; a second Close does nothing.
// The clients stay open.
func (p *Provider) Close() error { return p.set.Close() }
