//go:build !unix

package guard

// Add does nothing: on this system there is no shell to rely on.
func Add(kind Kind, item string) {}

// Done does nothing.
func Done(kind Kind, item string) {}
