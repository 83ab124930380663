package sim

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// A Fault is a kind of trouble that a run can meet.
type Fault int

// The faults, in the order in which they are reported.
const (
	RequestLost     Fault = iota // the client hears nothing, the script did not run
	ReplyLost                    // the client hears nothing, the script ran
	ResetBefore                  // the connection breaks before the script runs
	ResetAfter                   // the connection breaks after the script ran
	Delayed                      // far slower than the link usually is
	Resent                       // the reply is lost, the client sends the call again by itself
	LateOriginal                 // the call is repeated, and the first copy arrives after the second
	ErrorReply                   // LOADING, MASTERDOWN, READONLY or CLUSTERDOWN
	MessageLost                  // a published message does not reach a subscriber
	MessageRepeated              // a published message reaches a subscriber twice
	Deaf                         // a subscription goes dead and does not say so
	LinkCut                      // nothing passes between a client and a node for a while
	NodePaused                   // a node stands still, then goes on
	NodeCrashed                  // a node comes back with all its data
	NodeLostLast                 // a node comes back without the last second
	NodeLostAll                  // a node comes back empty
	NodeStepped                  // a node's clock jumps
	NodeRate                     // a node's clock runs slow or fast
	NodeDemoted                  // a node refuses to write: it has become a replica
	PushDeaf                     // a node's subscriptions live on elsewhere for a while: all are deaf
	OutOfMemory                  // a node refuses commands that need memory
	DiskFailed                   // a node refuses to write: it cannot save
	ServerBusy                   // a node runs somebody's slow script
	Unauthorized                 // a node wants another password
	SlotOpen                     // a node's slot is being moved: calls need all of their keys
	HoldEvicted                  // the key of a hold vanishes from a node, or that of all readers
	MetaEvicted                  // the key with the fencing counter vanishes from a node
	QueueEvicted                 // the order of the line vanishes from a node
	TicketsEvicted               // what is known of those in line vanishes from a node
	SlotsEvicted                 // the slots of a semaphore vanish
	StaleConn                    // a client's pool is full of dead connections
	ClientPaused                 // a client stands still, then goes on
	ClientKilled                 // a client is gone for ever
	ClientStepped                // a client's wall clock jumps
	Cancelled                    // a caller's context ends while it waits
	Closed                       // a caller's provider is closed while it waits
	NoPush                       // a client that cannot subscribe: its waiters poll
	NumFaults                    // how many kinds there are
)

var faultNames = [NumFaults]string{
	"request lost", "reply lost", "reset before", "reset after", "delayed", "resent", "late original", "error reply",
	"message lost", "message repeated", "deaf subscription", "link cut", "node paused", "node crashed",
	"node lost last second", "node lost all", "node clock stepped", "node clock rate",
	"node demoted", "push deaf", "out of memory", "disk failed", "server busy", "unauthorized", "slot open",
	"hold evicted", "meta evicted", "queue evicted", "tickets evicted", "slots evicted", "stale connection", "client paused", "client killed",
	"client clock stepped", "cancelled", "provider closed", "no subscriber",
}

// String names the fault.
func (f Fault) String() string { return faultNames[f] }

// Stats counts what happened in a run, or in several. It is safe for
// concurrent use.
type Stats struct {
	Scripts   atomic.Int64 // run to their end by a node
	Calls     atomic.Int64 // made by clients
	Published atomic.Int64 // messages, however many heard them
	Delivered atomic.Int64 // messages, to each subscriber
	Grants    atomic.Int64
	Refusals  atomic.Int64 // of callers, since others have the lock
	Dos       atomic.Int64 // functions that core.Do has called
	Withins   atomic.Int64 // waits that core.Within has ended
	Counted   atomic.Int64 // answers of Semaphore.Available
	Virtual   atomic.Int64 // nanoseconds of cluster time
	faults    [NumFaults]atomic.Int64
}

// Count adds one fault of a kind.
func (s *Stats) Count(f Fault) { s.faults[f].Add(1) }

// Faults is how many faults of kind f took place.
func (s *Stats) Faults(f Fault) int64 { return s.faults[f].Load() }

// AllFaults is how many faults took place.
func (s *Stats) AllFaults() int64 {
	var n int64
	for i := range s.faults {
		n += s.faults[i].Load()
	}
	return n
}

// Add adds the figures of o to s.
func (s *Stats) Add(o *Stats) {
	s.Scripts.Add(o.Scripts.Load())
	s.Calls.Add(o.Calls.Load())
	s.Published.Add(o.Published.Load())
	s.Delivered.Add(o.Delivered.Load())
	s.Grants.Add(o.Grants.Load())
	s.Refusals.Add(o.Refusals.Load())
	s.Dos.Add(o.Dos.Load())
	s.Withins.Add(o.Withins.Load())
	s.Counted.Add(o.Counted.Load())
	s.Virtual.Add(o.Virtual.Load())
	for i := range s.faults {
		s.faults[i].Add(o.faults[i].Load())
	}
}

// String is a line of the totals.
func (s *Stats) String() string {
	return fmt.Sprintf("%.2f virtual hours, %d scripts, %d grants (%d in Do), %d refusals (%d by Within), %d permits counted, %d faults, %d messages",
		time.Duration(s.Virtual.Load()).Hours(), s.Scripts.Load(), s.Grants.Load(), s.Dos.Load(), s.Refusals.Load(), s.Withins.Load(),
		s.Counted.Load(), s.AllFaults(), s.Delivered.Load())
}

// FaultTable is a line for each kind of fault.
func (s *Stats) FaultTable() string {
	out := ""
	for f := range NumFaults {
		out += fmt.Sprintf("%-24s %d\n", f, s.Faults(f))
	}
	return out
}

// A trace is a digest of events. It is a sum, so that events of one instant may
// be entered in any order.
type trace struct {
	sum atomic.Uint64

	mu  sync.Mutex
	log io.Writer // gets a line for each event, and each call; nil: none is written
}

func (t *trace) add(at time.Time, what string, numbers ...int64) {
	h := fnv.New64a()
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(at.UnixNano())))
	h.Write([]byte(what))
	for _, n := range numbers {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	t.sum.Add(mix(h.Sum64()))
	t.note("ran", what, numbers)
}

// note writes what happens now to the log. What differs first in the sorted logs of two
// runs is near the cause.
func (t *trace) note(words ...any) {
	if t.log == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.log, "%d %s", time.Now().UnixNano(), fmt.Sprintln(words...))
}
