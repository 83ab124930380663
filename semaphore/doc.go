// Package semaphore holds the counting semaphore, which lives on one Redis node.
package semaphore
