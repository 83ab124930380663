// Package semaphore holds the counting semaphore, which lives on one Redis node.
//
// A redlatch.Provider makes semaphores that share with its other locks what is learnt of the
// node, and are closed together.
package semaphore
