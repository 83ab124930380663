package conformance_test

import (
	"testing"

	"github.com/redlatch/redlatch/conformance"
	"github.com/redlatch/redlatch/conformance/internal/resp"
	"github.com/redlatch/redlatch/core"
)

// The test of an adapter. It takes its servers from REDLATCH_ADDRS; without any it is
// skipped.
func ExampleRun() {
	TestConformance := func(t *testing.T) {
		conformance.Run(t, conformance.Addrs(t), func(t *testing.T, addr string) core.Scripter {
			return resp.New(addr) // the adapter on a new client; what closes that goes to t.Cleanup
		}, nil)
	}
	_ = TestConformance
}
