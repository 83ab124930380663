// Package front is how a Provider makes locks on nodes and options that have been checked,
// so that only a limit can be refused. It is here so that no lock package has an exported
// function with a parameter of an internal type; the lock packages fill it in.
package front

import "github.com/redlatch/redlatch/internal/line"

var (
	// Mutex returns the *redlock.Mutex of that name.
	Mutex func(g *line.Group, name string) any
	// RWMutex returns the *redlock.RWMutex of that name.
	RWMutex func(g *line.Group, name string) any
	// Semaphore returns the *semaphore.Semaphore of that name and limit, on the first node;
	// the error is for the limit.
	Semaphore func(g *line.Group, name string, limit int) (any, error)
)
