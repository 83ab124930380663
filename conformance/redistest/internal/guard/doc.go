// Package guard cleans up after this process if it dies without doing so itself,
// by whatever signal: a shell, which outlives it, holds a list of what is there.
package guard

// A Kind is a kind of things to clean up.
type Kind string

// What can be cleaned up, and how an item is named.
const (
	Process   Kind = "process"   // by number
	Group     Kind = "group"     // of processes, by number
	Dir       Kind = "dir"       // by path
	Container Kind = "container" // by the engine's address, a space, and its name
)
