// Package leaks ends the run of a test package with a look at the goroutines that are
// left.
package leaks

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/goleak"
)

// Check returns code, the exit code of the tests; if that is 0 and a goroutine is left
// after a while, it says which and returns 1. The container engine's client keeps idle
// connections, which end by themselves and are not counted.
func Check(code int) int {
	if code != 0 {
		return code
	}
	err := Find(
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Find is goleak's, but more patient: a go-redis client that could not connect looks only
// once a second whether it has been closed.
func Find(options ...goleak.Option) error {
	err := goleak.Find(options...)
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); {
		err = goleak.Find(options...)
	}
	return err
}
