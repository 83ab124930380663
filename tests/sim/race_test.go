//go:build race

package sim_test

// raceDetector says that the runtime takes goroutines in any order.
const raceDetector = true
