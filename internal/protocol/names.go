package protocol

import "strings"

// The arguments of the verbs, by the names that the Lua knows them by. Times are in ms.
var (
	common  = []string{"owner", "param", "expiry", "keep", "fencing"}
	acquire = with("manner", "guard", "ticket", "lease", "allowance", "channel")
	extend  = with("slotted")
	release = with("leaver", "stayer")
)

func with(own ...string) []string { return append(common[:len(common):len(common)], own...) }

// named is the first line of a script.
func named(arguments []string) string {
	return "local " + strings.Join(arguments, ", ") + " = unpack(ARGV)\n"
}

// A Call is what all verbs are told.
type Call struct {
	Owner   string // the id of the attempt, and of its hold
	Param   string // the kind's own parameter
	Expiry  string // how long the hold is to stand
	Keep    string // how long what is known of the name is kept
	Fencing string // the token that is proposed, in us of the server's clock, or to be kept up; "0": none
}

func (c Call) args(own ...string) []string {
	return append(append(make([]string, 0, len(common)+len(own)), c.Owner, c.Param, c.Expiry, c.Keep, c.Fencing), own...)
}

// A Manner says how a node is asked that is asked to grant.
type Manner string

const (
	Only    Manner = "only"    // there is no other node
	Lead    Manner = "lead"    // its queue gives the order
	Consent Manner = "consent" // the lead has granted: only the hold counts
	Free    Manner = "free"    // together with the lead, by one who does not stand in its line
	Again   Manner = "again"   // asked so before, and the lead has granted: nobody stands in its line
)

// A Place is what a waiter stands in line with.
type Place struct {
	Ticket    string
	Lease     string // how long the ticket is kept without news of the waiter
	Allowance string // how long the waiter has to come when it is called
	Channel   string // where it is called
}

// Acquire returns the arguments of the acquire script. guard is the restart guard, "0": none;
// place is nil for one who does not wait.
func (c Call) Acquire(manner Manner, guard string, place *Place) []string {
	if place == nil {
		return c.args(string(manner), guard)
	}
	return c.args(string(manner), guard, place.Ticket, place.Lease, place.Allowance, place.Channel)
}

// Extend returns the arguments of the extend script. slot is the permit's; empty: there is none.
func (c Call) Extend(slot string) []string {
	if slot == "" {
		return c.args()
	}
	return c.args(slot)
}

// Release returns the arguments of the release script and of remove. leaver is a ticket that
// leaves the line with the hold, stayer one that stays and is not to be woken; empty: none.
func (c Call) Release(leaver, stayer string) []string { return c.args(leaver, stayer) }

// Repair returns the arguments of the repair script, and of a kind's further verbs.
func (c Call) Repair() []string { return c.args() }
