package core

import "context"

// A Scripter runs Lua scripts on one Redis deployment: a standalone server, a
// Sentinel-managed primary, or a Cluster. It is all that redlatch asks of a
// client. Each independent Redis that takes part in a majority is one Scripter.
//
// # What an implementation does
//
// EvalSha sends EVALSHA and Eval sends EVAL, once, to the primary that serves
// keys[0], never to a replica. Every key of one call hashes to one cluster slot.
//
// Keys and arguments are binary-safe: they go out byte for byte, with no
// formatting, trimming or prefix. The slices are not changed, and not kept: a
// client that may read them after the call has returned needs a copy.
//
// The scripts of redlatch answer with a flat array of integers, and that array
// is the result. Any other reply (nil, a string, a nested array, an integer
// that is not in an array) is an error that names what came; it is never turned
// into a zero or an empty result. An integer is passed on with all its 64 bits.
//
// Errors come back as they are. A server's error reply stays in the error chain
// with its text as the server sent it, code first ("LOADING ...", "NOPERM ..."),
// since the caller tells a loading server from a missing permission by the code.
// When EVALSHA meets a script that is not cached, the error satisfies
// errors.Is(err, ErrNoScript), found by the client's typed error; the
// implementation does not fall back to EVAL itself, the caller does, once. A call on
// a client that has been closed returns an error that is [ErrClosed], found by the
// client's typed error: it ends a wait, where a lost connection does not. Some clients
// report the same for a connection that they have closed themselves, in a failover:
// that is not [ErrClosed].
//
// A call whose connection breaks before the reply is an error. If the client or the
// implementation sends such a call again, that is allowed: every script is safe to
// run twice. A connection that was dead before the call must not cost it: after a
// server, or what stands before it, has closed all idle connections, at most one call
// fails. Where the client takes each of them for a live one, the implementation sends
// the call again. It does so a bounded number of times, and until the context ends.
//
// A connection whose server answers READONLY is better not used again, if the client
// lets the implementation close it: behind one address another server may be the
// primary by now, and only new connections reach it.
//
// The context goes to the client. When it ends, the call comes back as soon as
// the client lets it, and at the latest within the client's own timeouts. An
// implementation needs no goroutine to be faster: the caller does not wait for
// it (see below).
//
// Both methods are safe for concurrent use, and one call does not wait for
// another longer than the client's pool makes it.
//
// # What the caller guarantees
//
// keys holds at least one key; args may be empty. Neither is changed while the
// call is under way.
//
// Each call runs in a goroutine of its own, and the caller leaves it when its
// time is up, whether or not it has returned. At most 64 calls that have been
// abandoned for longer than answers usually take are under way per node of a
// provider, or of a lock made without one; above that the node counts as failed
// without being asked, but for one probe at a time. A panic in a call counts as its
// error; one in Subscribe ends the subscription.
//
// The reply slice belongs to the caller from the return on; it must not be
// shared with another call.
//
// # What may be implemented beside it
//
// [Subscriber], without which waiters poll, [Checker] and [Addresser].
//
// Package conformance tests all of this.
type Scripter interface {
	// EvalSha runs the cached script whose SHA-1 (40 hexadecimal digits) is sha1.
	EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error)

	// Eval runs the script source, which the server caches.
	Eval(ctx context.Context, source string, keys, args []string) ([]int64, error)
}

// A Subscriber is a [Scripter] that can also listen to a channel of its
// deployment. A Scripter may implement it; without it waiters poll.
type Subscriber interface {
	// Subscribe listens to channel on one connection of its own. It calls ready
	// once the server has confirmed the subscription, and when ready has returned,
	// deliver with each message's payload, one at a time and in order. deliver does
	// not block.
	//
	// Subscribe returns only when ctx ends, with ctx.Err(), or when the connection
	// is gone, with an error; either way the connection is closed or free of the
	// subscription and no goroutine is left. It does not reconnect: the caller
	// subscribes again. It may miss messages but must not invent any. A client
	// that reconnects by itself underneath returns an error when that happens.
	Subscribe(ctx context.Context, channel string, ready func(), deliver func(payload string)) error
}

// A Checker is a [Scripter] that knows when it cannot serve. A Scripter may
// implement it.
type Checker interface {
	// Check is called once, by the constructor that is given the Scripter, and
	// returns an error for a nil client or one of a kind that cannot serve. It
	// sends nothing.
	Check() error
}

// An Addresser is a [Scripter] that can say where its deployment is. A Scripter may
// implement it; without it errors name a node by its index alone.
type Addresser interface {
	// Addr returns the address to name in errors, such as "10.0.0.7:6379", and "" where
	// it is not known. It is asked whenever an error is made, so a client that follows a
	// failover may answer with the primary of the moment. It sends nothing and does not
	// wait.
	Addr() string
}
