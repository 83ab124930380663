// Package claim is what package core and the lock packages share and users do not
// name: the holder behind a core.Lease, and the identity of a lock.
package claim

import (
	"context"
	"time"
)

// A Holder keeps one acquisition. It is safe for concurrent use.
type Holder interface {
	Name() string
	Token() int64
	Slot() int
	// Check ends the lease if one of the clocks has passed its deadline.
	Check()
	ValidUntil() time.Time
	Release(ctx context.Context) error
}

// An ID tells locks apart: two with equal IDs are the same lock.
type ID struct {
	Kind, Key string
	Mode      string // of a reader-writer lock: which side
	Nodes     any    // the node set
}

// Values is a context that never ends and has the values of another. Unlike
// context.WithoutCancel it can stand within a struct that is there anyway.
type Values struct{ Of context.Context }

func (v Values) Deadline() (time.Time, bool) { return time.Time{}, false }
func (v Values) Done() <-chan struct{}       { return nil }
func (v Values) Err() error                  { return nil }
func (v Values) Value(key any) any           { return v.Of.Value(key) }
