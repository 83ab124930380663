package core

import "time"

// Options says how locks are held and waited for. It is an argument of every
// constructor; nil and the zero value of each field mean the default. A value out
// of its bounds is refused by the constructor, with an error that is [ErrInvalid]
// and names the field, the value and the bound.
//
// All clients of one name should use the same Expiry; they need not.
//
// The drift, of which the bounds below speak, is 1 % of Expiry and 2 ms. It is taken off
// every lease for clocks that do not run alike, as in the RedLock description
// (redis.io/docs/latest/develop/clients/patterns/distributed-locks).
type Options struct {
	// Expiry is the time after which a node frees a hold that nobody extended: how
	// long others wait after the holder's process died.
	// At least 100 ms and at most 8760 h. Default: 30 s.
	Expiry time.Duration

	// ExtensionCadence is the time between two extensions of a held lease. Extension
	// cannot be switched off.
	// More than 0, at most MinValidity less the drift. Default: Expiry / 3.
	ExtensionCadence time.Duration

	// MinValidity is the validity that a lease has at least left when Lock returns
	// it. What remains of Expiry, Expiry - MinValidity, is the time that a node has to
	// answer; an attempt has the drift less to reach its majority.
	// More than the drift, at most Expiry less the drift less 5 ms. Default: 90 % of
	// Expiry.
	MinValidity time.Duration

	// MinBusyWait and MaxBusyWait bound the sleep between two attempts of a waiter;
	// each is drawn uniformly from the range. Waiters far down the line, and woken by
	// push, sleep longer.
	// More than 0, MinBusyWait at most MaxBusyWait. Default: 10 ms and 800 ms.
	MinBusyWait, MaxBusyWait time.Duration

	// RestartGuard is for nodes that may lose data when they restart: a node grants
	// nothing until it has been up that long, by INFO's uptime, so that whatever it
	// held before has ended and tokens do not repeat. It is stored with each lock, and
	// a client with another one is refused with [ErrInvalid] until the lock has not been
	// used for some minutes; a node whose INFO is hidden grants nothing. A node that lost its
	// data has forgotten the guard, too, and grants at once to a client without one: set it
	// for all clients of a name. Until the time is over the node fails with a [NodeError]
	// whose text has GUARDED and what is left; Lock waits for that only if a majority has
	// answered in that call.
	// 0, or at least Expiry and at least 7 s. Default: 0, no guard.
	RestartGuard time.Duration

	// KeyPrefix is put before every name to make its key. Default: none.
	KeyPrefix string

	// Now reads the wall clock, the second opinion on every deadline beside Go's
	// monotonic clock, which stands still while a machine is suspended. It is there
	// for tests. Default: time.Now.
	Now func() time.Time
}
