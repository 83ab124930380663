package goredis

import (
	"crypto/sha1"
	"encoding/hex"
)

// A script goes out as its source, and hooks print it by the name that EVALSHA has for
// it. They would print the lines of a string as hexadecimal digits.
type script string

// MarshalBinary implements [encoding.BinaryMarshaler].
func (s script) MarshalBinary() ([]byte, error) { return []byte(s), nil }

// String implements [fmt.Stringer].
func (s script) String() string {
	sum := sha1.Sum([]byte(s))
	return "<script " + hex.EncodeToString(sum[:]) + ">"
}
