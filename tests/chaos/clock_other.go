//go:build unix && !linux

package chaos

import "time"

// A clock reads the wall clock in ns.
type clock struct{}

func newClock() clock { return clock{} }

func (c clock) now() int64 { return time.Now().UnixNano() }

func (c clock) of(t time.Time) int64 { return t.UnixNano() }

func (c clock) time(ns int64) time.Time { return time.Unix(0, ns) }
