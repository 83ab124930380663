// Package failure says what becomes of a node's failure: whether it passes by itself.
// Both the engine and package core ask it.
package failure

import "strings"

// A Class says what ends a failure.
type Class int8

const (
	// Passes: the failure ends by itself, as that of a node that cannot be reached does.
	Passes Class = iota
	// Person: somebody has to mend the server, the client's rights or its configuration.
	// The call that has waited so far goes on waiting.
	Person
	// Mistake: the program or the name is wrong, and the next call will fail alike.
	Mistake
)

// Of returns the class of a node's failure. An error without a server's error reply in it
// is one of the way to the server, which passes.
func Of(err error) Class {
	text := Reply(err)
	if text == "" {
		return Passes
	}
	return entry(text).Class
}

// Served reports whether the server has answered all the same: Lock then waits from its
// first attempt on, as where others have the lock.
func Served(err error) bool { return entry(Reply(err)).Served }

// entry returns what Replies says of a reply.
func entry(text string) Entry {
	for _, e := range Replies {
		if rest, ok := strings.CutPrefix(text, e.Begin); ok && (rest == "" || rest[0] == ' ' || strings.Contains(e.Begin, " ")) {
			return e
		}
	}
	return Entry{Class: Person}
}

// Has reports whether a server's error reply with that code is in err.
func Has(err error, code string) bool {
	word, _, _ := strings.Cut(Reply(err), " ")
	return word == code
}

// Reply returns the server's error reply in the chain of err, as far as it is there with
// its code first, which the Scripter contract asks for; else "".
func Reply(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	word, rest, _ := strings.Cut(text, " ")
	if len(word) > 1 && rest != "" && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		return text
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return Reply(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if text := Reply(err); text != "" {
				return text
			}
		}
	}
	return ""
}
