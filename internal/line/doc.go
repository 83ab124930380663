// Package line is who waits for a lock, in this process and on the nodes.
//
// A [Lock] is a target of attempts with a line before it. [Lock.TryLock] (of the target) makes
// one attempt. [Lock.Lock] joins the local line, the callers of this process in the order in
// which they came. Only the front of it asks the nodes, and readers at the front together, so
// that a thousand goroutines cost what one does; those behind wait on a channel.
//
// The front makes its first attempt without a ticket: a free lock costs nothing more. After a
// refusal, or where somebody was refused within the last second, it takes a ticket, which each
// attempt takes to the line of the lead, the first node that is not failing. Then it sleeps
// until it is called, by a message of the node to this process, and asks by itself now and then:
//
//	           refused                    called, or time to ask
//	joined -------------> has a ticket <------------------------+
//	   |                      |   \                             |
//	   | granted              |    +----> asks ---- refused ----+
//	   v                      v             |
//	 leaves                 leaves          | granted: the lead takes the ticket out of its line
//	                          |             v
//	                          |           leaves
//	                          +--> the ticket goes to the next in the local line, with its place,
//	                               or is withdrawn from every node that has it
//
// What a caller is told that leaves without the lock is the outcome of the latest attempt of the
// front that came to an end, or of the one under way where that has lasted long enough.
//
// # Failures
//
// A message that is lost costs a poll. Nodes that fail before a majority has answered once end
// the call; after that they are ridden out until its context ends. A lead that fails is passed
// over, and the waiter stands in the next node's line. A process that dies leaves tickets that
// their own times end.
//
// # The mutex
//
// Group.mu guards the lines of all locks, and which waiter a ticket belongs to. It comes before
// Hold.mu of a ticket that is withdrawn, a hold that nobody else knows yet, and nothing is waited
// for while it is held. A waiter's own fields belong to Group.mu until it is at the front, and to
// its call from then on.
package line
