// Package redlock holds the locks that a majority of independent Redis nodes decides:
// [Mutex] and [RWMutex]. One node is the smallest majority.
package redlock
