// Package exclusion tests on real servers, over go-redis, that one holder at a time has a
// lock, whatever happens to the network and the nodes.
//
// TestSuite is what needs many processes, or one that is killed; it runs for each of the
// things that lock (mutex, writer, semaphore of 1, the last permit of a semaphore of 5),
// on each image and in each arrangement of nodes. The conformance suite, which runs with
// every adapter, has the rest of what every lock must do.
//
// The tests named TestPeer are the known failures of other libraries, one each; those that
// need time are in package virtual. Faults of the network come from package proxy. Each test
// asserts that its fault took place.
package exclusion
