// Package cluster is a set of nodes, and everything that is true of a node whatever is asked
// of it. It knows no lock: what lives on the nodes is a tenant, what waits is told by a
// function.
//
// A [Set] is the nodes of one provider with its options. It counts the calls under way, keeps
// the tenants (the holds of live leases) and checks them against the wall clock, keeps what is
// to be tried again, and ends all of that in [Set.Close].
//
// A [Node] is one Scripter and what has been learnt about it: whether the last answer was one
// (Failing), how long an answer takes, when the last came, what the server's clock says. A
// script goes through [Node.Run], or through [Node.RunVerified] where the answer counts together
// with others'. These limits are kept here, each in a file:
//
//	gate.go      512 attempts of a set are under way, in the order in which they came
//	backlog.go   512 other calls of a node are; of a failing node one lease is tried at a time
//	node.go      64 calls that nobody waits for any more, and the node is not asked
//	limit.go     every call ends with the window; calls that begin together share the context
//	retry.go     4096 things are to be tried again, at once when the set is closed
//
// The rest is what makes answers mean what they say: verify.go (no server counts twice),
// clock.go (a deadline has passed when one of two clocks says so), remains.go (what this process
// is removing is not others'), listen.go (one subscription for all who wait).
//
// # Failures
//
// A call that fails marks its node as failing, and an answer ends that: nothing else is
// remembered of an outage. A client that panics has not answered. A client that does not come
// back keeps its goroutine and its place among the calls until it does.
//
// # Mutexes
//
// The order is Hold.mu (package hold), then one of those here: Set.mu, Node.mu, and those of
// the gate, the limit, the listener and the remains. None of these is held while another is
// locked, while a tenant, a client or a function of the line is called, or while anything is
// waited for. So tenants are listed first and checked then, and an extender is asked only what
// it answers without a mutex (IsOver).
package cluster
