//go:build race

package sim_test

// raceDetector says that goroutines that are due at one instant run in any order.
const raceDetector = true
