// Package random is where the library's randomness comes from, so that a simulation can
// replay a run from a seed.
package random

import (
	crand "crypto/rand"
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// ID returns 128 random bits in hexadecimal. Owners must not be guessable or repeated.
// Only simulations replace it.
var ID = func() string {
	var b [16]byte
	crand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// Below returns a duration from 0 to d, d excluded. Only simulations replace it.
var Below = func(d time.Duration) time.Duration { return rand.N(d) }

// Around returns a duration from half of d to one and a half of it.
func Around(d time.Duration) time.Duration { return d/2 + Below(d+1) }
