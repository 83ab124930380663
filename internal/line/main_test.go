package line_test

import (
	"os"
	"testing"
	"time"

	"github.com/redlatch/redlatch/internal/leaktest"
	"github.com/redlatch/redlatch/internal/random"
)

// TestMain takes chance out of when the first extension comes, which these tests are
// exact about, and leaves it to the much shorter sleeps of waiters.
func TestMain(m *testing.M) {
	below := random.Below
	random.Below = func(d time.Duration) time.Duration {
		if d > time.Second {
			return 0
		}
		return below(d)
	}
	os.Exit(leaktest.Check(m.Run()))
}
