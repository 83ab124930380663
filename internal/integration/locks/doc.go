// Package locks tests redlatch's locks on real servers, over go-redis.
//
// TestSuite is what every lock that one holder has at a time must do. It runs for
// each of the things that lock (mutex, writer, semaphore of 1, the last permit of a
// semaphore of 5), on each image and in each arrangement of nodes.
//
// The tests named TestPeer are the known failures of other libraries, one each.
// Faults of the network come from package proxy, those that need time from package
// sim. Each test asserts that its fault took place.
package locks
