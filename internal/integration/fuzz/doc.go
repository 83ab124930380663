// Package fuzz gives names that a fuzzer makes up to locks of all kinds, with the real
// scripts on the simulation's node.
package fuzz
