package core

import (
	"reflect"

	"github.com/redlatch/redlatch/internal/claim"
)

// A wrapper is a Locker around another one; see [Locker].
type wrapper interface{ Unwrap() Locker }

// own is what the locks of this module are underneath.
type own interface{ LockID() claim.ID }

// unwrap returns what l wraps, all the way down, l itself if it wraps nothing, and nil if
// there is no lock.
func unwrap(l Locker) Locker {
	for {
		if v := reflect.ValueOf(l); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
			return nil
		}
		w, ok := l.(wrapper)
		if !ok {
			return l
		}
		l = w.Unwrap()
	}
}

// identify returns which lock is underneath l, which must not be nil. That of a Locker from
// elsewhere has no kind, and is the same as that of an equal Locker.
func identify(l Locker) claim.ID {
	under := unwrap(l)
	if o, ok := under.(own); ok {
		return o.LockID()
	}
	if !reflect.ValueOf(under).Comparable() {
		return claim.ID{Nodes: new(byte)} // like no other
	}
	return claim.ID{Key: under.Name(), Nodes: under}
}
