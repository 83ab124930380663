package protocol

import (
	"fmt"
	"math"
	"time"
)

// A Reply is what a script returned, which has a status and the server's time at least; see
// [Read].
type Reply []int64

// A Status is what a reply begins with. What it means depends on the verb.
type Status int64

const (
	Granted    Status = 1  // acquire
	Refused    Status = 0  // acquire
	OtherLimit Status = -2 // acquire, and a semaphore's further verbs: another limit is in force
	OtherGuard Status = -3 // acquire: another restart guard is in force

	Extended Status = 1 // extend; -1: the hold is another's
	Absent   Status = 0 // extend: there is no hold
)

// Read returns a script's reply, or an error for one that no script gives.
func Read(reply []int64) (Reply, error) {
	if len(reply) < 2 {
		return nil, fmt.Errorf("the script's reply is %v, at least a status and a time wanted", reply)
	}
	return reply, nil
}

// Status returns what the reply begins with.
func (r Reply) Status() Status { return Status(r[0]) }

// Time returns the server's TIME, in us.
func (r Reply) Time() int64 { return r[1] }

// Number returns the one number beside status and time that a script answers which reads
// something.
func (r Reply) Number() (int64, error) {
	if len(r) != 3 {
		return 0, fmt.Errorf("the script's reply is %v", []int64(r))
	}
	return r[2], nil
}

// A Why says why a lock is refused.
type Why int64

const (
	Held Why = 1 // others have it
	Turn Why = 2 // others in line come first
	Kept Why = 3 // it is free, but kept for one from the lead's line, if one comes
)

// Acquired is the reply to acquire.
type Acquired struct {
	Status  Status
	Token   int64         // granted; 0: the lock has none
	Slot    int           // granted: the permit's; -1: there is none
	Left    time.Duration // refused: until it is worth coming again; negative: not known
	Place   int           // refused: in line; -1: none
	Why     Why           // refused
	Called  time.Duration // since the ticket was called; 0: it was not
	Dropped bool          // the ticket did not stand in line
	InForce int64         // the other limit, or the other restart guard in ms
}

// Acquired reads the reply to acquire of a lock with tokens, or without.
func (r Reply) Acquired(fenced bool) (Acquired, error) {
	a, ok := Acquired{Status: r.Status(), Slot: -1, Place: -1}, false
	switch a.Status {
	case Granted:
		if ok = len(r) == 5 && (r[2] > 0) == fenced && r[2] >= 0 && r[2] < 1<<53 && r[3] >= -1 && r[3] < math.MaxInt32 && r[4] >= -1; ok {
			a.Token, a.Slot = r[2], int(r[3])
			a.called(r[4])
		}
	case Refused:
		if ok = len(r) == 6 && r[2] >= -1; ok {
			a.Left, a.Place, a.Why = time.Duration(r[2])*time.Millisecond, int(r[3]), Why(r[4])
			a.called(r[5])
		}
	case OtherLimit, OtherGuard:
		if ok = len(r) == 3 && r[2] >= 0; ok {
			a.InForce = r[2]
		}
	}
	if !ok {
		return a, fmt.Errorf("the acquire script's reply is %v", []int64(r))
	}
	return a, nil
}

// called takes how long ago the ticket was called, in us; negative: it did not stand in line.
func (a *Acquired) called(ago int64) {
	a.Called, a.Dropped = max(0, time.Duration(ago)*time.Microsecond), ago < 0
}
