package redistest

import "testing"

// The engine's client is tidied up by the last of those who use it at the same time: a
// request that was about to go over an idle connection failed when another one was done.
func TestUsers(t *testing.T) {
	var u users
	tidied := 0
	enter := func() (leave func()) { return u.enter(func() { tidied++ }) }
	for round := 1; round <= 2; round++ {
		leaveFirst, leaveSecond := enter(), enter()
		leaveFirst()
		if tidied != round-1 {
			t.Errorf("round %d: tidied up %d times while it was used, want %d", round, tidied, round-1)
		}
		leaveThird := enter()
		leaveSecond()
		leaveThird()
		if tidied != round {
			t.Errorf("round %d: tidied up %d times in all, want %d", round, tidied, round)
		}
	}
}
