package exclusion_test

import (
	"os"
	"testing"

	"github.com/redlatch/redlatch/tests/testkit/clients"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(holderEnv); spec != "" {
		holdUntilKilled(spec)
	}
	os.Exit(clients.Main(m, 16)) // most wait for leases to end
}
