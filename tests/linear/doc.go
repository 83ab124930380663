// Package linear is a second opinion on the state machine that the scripts keep on a
// node. Clients run the real scripts at the same time against a real server, with leases
// so short that they lapse and connections that are cut under them. Porcupine then looks
// for an order of all calls that a sequential model, written without a look at the Lua's
// ways, explains: who holds what until when, and what the node has to answer.
//
// The model has no clock of its own. A reply carries the node's TIME, which orders the
// calls and decides what has lapsed. A key's TTL runs from the server's clock, too, but
// not from the very moment of TIME, so the end of a hold with a TTL is known to within
// the time that its call took; ends that are scores are known exactly. A call whose reply
// was lost may take effect at any later time, or never.
package linear
