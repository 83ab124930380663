// Package redlock holds the locks that a majority of independent Redis nodes decides:
// [Mutex] and [RWMutex]. One node is the smallest majority.
//
// Programs with more than a lock or two have a redlatch.Provider make them: its locks share
// what is learnt of the nodes, and one subscription to each, and are closed together.
package redlock
