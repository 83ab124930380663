// Package claim is what package core and the lock packages share and users do not
// name: the identity of a lock, and a context's values.
package claim

import (
	"context"
	"time"
)

// An ID tells locks apart: two with equal IDs are the same lock.
type ID struct {
	Kind, Key string
	Shared    bool // holders of it do not exclude each other, but all others of the key
	Permits   int  // how many may hold it, of a semaphore; 0: see Shared
	Nodes     any  // the node set; of a lock from elsewhere, which has no kind, the lock
}

// Same reports whether a and b are of one key on the same nodes, so that who holds the one
// may be in the way of the other.
func (a ID) Same(b ID) bool {
	if a.Kind != b.Kind || a.Key != b.Key {
		return false
	}
	nodes, ok := a.Nodes.(interface{ Same(other any) bool })
	return a.Nodes == b.Nodes || ok && nodes.Same(b.Nodes)
}

// Values is a context that never ends and has the values of another. Unlike
// context.WithoutCancel it can stand within a struct that is there anyway.
type Values struct{ Of context.Context }

func (v Values) Deadline() (time.Time, bool) { return time.Time{}, false }
func (v Values) Done() <-chan struct{}       { return nil }
func (v Values) Err() error                  { return nil }
func (v Values) Value(key any) any           { return v.Of.Value(key) }
