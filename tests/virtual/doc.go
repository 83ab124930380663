// Package virtual has the tests in virtual time: the library and its Lua on package sim's
// nodes, without faults but the one that the test is about. There is a test for each rule
// that the scripts keep on a node (one holder, leases that end one by one, tokens, the
// queue), for what clients see at exact instants, for what a wait costs, and for the known
// failures of other libraries that need time (TestPeer, numbered as in docs/peers.md).
// FuzzNames gives names that a fuzzer makes up to locks of all kinds.
package virtual
