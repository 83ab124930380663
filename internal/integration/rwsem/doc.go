// Package rwsem tests the reader-writer lock, the semaphore, the provider and the
// helpers of package core on real servers, and on simulated ones where time matters.
package rwsem
