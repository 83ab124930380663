// Package keys names the Redis keys of a lock, all in one cluster slot.
package keys

import (
	"strconv"
	"strings"
)

// Siblings returns the names of a lock's other keys, one for each suffix, which all
// hash to the slot of key, by the rule for hash tags of the Redis Cluster
// specification: what is between the first { and the first } after it, if anything,
// is hashed instead of the whole key.
func Siblings(key string, suffixes ...string) []string {
	head := prefix(key)
	names := make([]string, len(suffixes))
	for i, s := range suffixes {
		names[i] = head + s
	}
	return names
}

func prefix(key string) string {
	switch {
	case tag(key) != key:
		return key + "::"
	case key != "" && !strings.Contains(key, "}"):
		return "{" + key + "}:"
	}
	// A key that cannot be a tag: borrow the smallest number of its slot. The bar keeps
	// the result apart from the siblings of a key that begins with that number as its tag.
	for i := 0; ; i++ {
		if n := strconv.Itoa(i); Slot(n) == Slot(key) {
			return "{" + n + "}:" + key + "|"
		}
	}
}

// tag returns the part of key that is hashed.
func tag(key string) string {
	if _, after, ok := strings.Cut(key, "{"); ok {
		if inside, _, ok := strings.Cut(after, "}"); ok && inside != "" {
			return inside
		}
	}
	return key
}

// Slot returns the cluster slot of key: CRC16 (XMODEM) of its tag, modulo 16384.
func Slot(key string) uint16 {
	var crc uint16
	for _, b := range []byte(tag(key)) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % 16384
}
