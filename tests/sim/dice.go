package sim

import (
	"hash/fnv"
	"time"
)

// Dice decides by hashing: the same seed and the same circumstances always give
// the same decision, in whatever order decisions are taken.
type Dice uint64

// Of is the dice for a circumstance within that of d.
func (d Dice) Of(parts ...uint64) Dice {
	h := uint64(d)
	for _, p := range parts {
		h = mix(h ^ mix(p+0x9e3779b97f4a7c15))
	}
	return Dice(h)
}

// Named is Of for a word.
func (d Dice) Named(word string) Dice {
	h := fnv.New64a()
	h.Write([]byte(word))
	return d.Of(h.Sum64())
}

// Chance is true with probability p.
func (d Dice) Chance(p float64) bool {
	return p > 0 && d.Float() < p
}

// Float is uniform in [0, 1).
func (d Dice) Float() float64 {
	return float64(mix(uint64(d))>>11) / (1 << 53)
}

// N is uniform in [0, n).
func (d Dice) N(n int) int {
	return int(d.Float() * float64(n))
}

// Between is uniform in [lo, hi), to the nanosecond.
func (d Dice) Between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(d.Float()*float64(hi-lo))
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
