// Package hold is the RedLock algorithm for one acquisition over 1 to N nodes, whatever the
// kind of lock: the attempt, the claim that it may become, and the removal of what may stand on
// a node. The algorithm is the one described at
// redis.io/docs/latest/develop/clients/patterns/distributed-locks, with fencing tokens;
// docs/safety.md has an argument for each step.
//
// A [Target] is a lock as attempts see it: a kind, keys and nodes. [Target.Attempt] makes a
// [Hold] with an owner id of its own, which goes through three phases:
//
//	         a majority granted, the token written
//	         back, validity left
//	trying --------------------------------------> held
//	  |                                              |
//	  | refused, failed, too late,                   | Release; or lost: the deadline
//	  | or the caller left                           | passed, the majority is gone
//	  v                                              v
//	over: whatever may stand on a node is removed, in the background
//
// Every call runs in a goroutine of its own and brings its answer to the hold itself, in
// whatever phase that is by then: there is no collecting goroutine, and no answer comes too late
// to be dealt with. A grant counts while the attempt is trying, lengthens the claim while it is
// held, and is removed when it is over. An idle claim is a struct and a timer.
//
//	attempt.go, ask.go, token.go   carry out the moves that package vote decides on
//	share.go                       what the hold knows of one node
//	extend.go                      extension, repair, the deadline
//	release.go, undo.go            removal: release, what an attempt leaves, and who meets that
//	outcome.go, explain.go         what the caller is told
//	ticket.go                      what an attempt needs of a caller that waits
//
// # The deadline
//
// An answer that says "granted" or "extended" to a call that began at t0 confirms the hold on
// its node until t0 + Expiry - drift, since the node counted from a later moment. The claim's
// deadline is the latest moment until which a majority is confirmed: of N ends the
// (N/2 + 1)-th latest. It moves with every answer and never back, but when a node says that it
// has the hold no more. A node to which the hold was put back does not count until the deadline
// has moved without it.
//
// # Failures
//
// A node that fails or is silent costs its vote and nothing else: extensions to it are tried
// again until the deadline, removals until the hold's own TTL must have ended it. A hold is lost
// when its deadline passes on either clock, or when so many nodes deny it that no majority can
// have it; the lease's context ends with the reason, and the hold is removed everywhere.
//
// # The mutex
//
// Hold.mu guards all of a hold, its shares too. Answers, the timer and the callers take it; it
// is given up while an attempt waits (wait), while a release does (confirm, awaitRelease), and
// while a call of an extension is made (ExtendNow): what was read before is read again. It comes
// before the mutexes of package cluster, and no two holds are locked at a time.
package hold
