// Package sharing tests on real servers what several have at a time: a lock by its readers, a
// semaphore by the holders of its permits, a name by locks of several kinds and by other
// libraries, a list of locks by one lease, a provider by all of its locks.
package sharing
