//go:build unix

package chaos

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
)

// A report is one line from a worker to the run.
type report struct {
	Kind string `json:"k"`
	ID   int64  `json:"i,omitempty"` // of the attempt; of the request for the register
	At   int64  `json:"a,omitempty"` // ns on the shared clock

	// asked
	Name  string       `json:"n,omitempty"`
	Claim checker.Kind `json:"c,omitempty"`
	Limit int          `json:"l,omitempty"`

	// granted, extended, released, lost
	Until int64 `json:"u,omitempty"`
	Token int64 `json:"t,omitempty"`
	Slot  int   `json:"s,omitempty"`

	Base int64  `json:"b,omitempty"` // write: the value that was read
	Text string `json:"x,omitempty"` // wrong
}

// Kinds of reports.
const (
	asked    = "asked"
	granted  = "granted"
	extended = "extended"
	released = "released"
	lost     = "lost"
	gaveUp   = "gave up"
	read     = "read"  // from the register of a name; answered
	write    = "write" // to it; answered
	wrong    = "wrong" // the library broke a promise; Text says which
	bye      = "bye"   // the last one
)

// An order is one line from the run to a worker.
type order struct {
	Kind  string `json:"k"`
	ID    int64  `json:"i,omitempty"`
	OK    bool   `json:"o,omitempty"`
	Value int64  `json:"v,omitempty"`
}

// Kinds of orders.
const (
	answer = "answer" // to a read or write
	calm   = "calm"   // the faults are over: short holds, long waits
	stop   = "stop"   // give everything back and end
)

// A task is what a worker process is to do. It finds it in its environment.
type task struct {
	Worker  string // its name in reports
	Adapter string
	Addrs   []string // of the nodes, through this worker's proxies
	Seed    uint64   // of what it does
	Callers int      // goroutines that take locks
	Expiry  time.Duration
	Guard   time.Duration
	Variant int // of the client's configuration
}

// taskVariable marks a worker process.
const taskVariable = "REDLATCH_CHAOS_TASK"

// A lines is a stream of JSON lines that several goroutines write to.
type lines struct {
	mu  sync.Mutex
	out *json.Encoder
}

func newLines(w io.Writer) *lines { return &lines{out: json.NewEncoder(w)} }

func (l *lines) send(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Encode(v)
}
