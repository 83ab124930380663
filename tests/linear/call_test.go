package linear_test

import (
	"fmt"
	"strconv"
)

// A verb is one of the scripts that every kind of lock has.
type verb string

const (
	acquire verb = "acquire"
	extend  verb = "extend"
	repair  verb = "repair"
	release verb = "release"
)

// A call is what a client asks of a node.
type call struct {
	kind     string // mutex, rw, semaphore
	verb     verb
	owner    string
	read     bool  // rw: a reader's
	limit    int64 // semaphore
	expiry   int64 // ms
	proposal int64 // us; 0: no token
}

func (c call) String() string {
	return fmt.Sprintf("%s %s %.4s %s expiry %d ms proposal %d", c.kind, c.verb, c.owner, c.param(), c.expiry, c.proposal)
}

// param is the kind's parameter, as its Lua takes it.
func (c call) param() string {
	switch {
	case c.kind == "semaphore":
		return strconv.FormatInt(c.limit, 10)
	case c.read:
		return "r"
	}
	return "w"
}

// args are the arguments of the script.
func (c call) args() []string {
	args := []string{c.owner, c.param(), strconv.FormatInt(c.expiry, 10), "120000", strconv.FormatInt(c.proposal, 10)}
	switch c.verb {
	case acquire:
		return append(args, "lead", "0")
	case release:
		return append(args, "", "")
	}
	return args
}

// An answer is what a call brought. took, in us, is the time from before the call to
// after its reply: the script ran within it.
type answer struct {
	unknown bool // no reply came
	took    int64
	reply   [5]int64 // status, the node's TIME in us, the verb's own
}

func (a answer) String() string {
	if a.unknown {
		return "unknown"
	}
	return fmt.Sprint(a.reply)
}

func (a answer) status() int64 { return a.reply[0] }
func (a answer) time() int64   { return a.reply[1] }
