package locks_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/internal/integration/leaks"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(holderEnv); spec != "" {
		holdUntilKilled(spec)
	}
	flag.Parse()
	// Most of the tests wait for leases to end: more of them fit beside each other
	// than there are processors.
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", "16"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	redis.SetLogger(silent{}) // it reports each connection that a test breaks
	os.Exit(leaks.Check(redistest.Main(m)))
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
