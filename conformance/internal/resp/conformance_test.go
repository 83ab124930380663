package resp_test

import (
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance"
	"github.com/redlatch/redlatch/conformance/internal/resp"
	"github.com/redlatch/redlatch/core"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Addrs(t), func(t *testing.T, addr string) core.Scripter {
		return resp.New(addr) // a client with connections: t.Cleanup closes it
	}, &conformance.Options{MaxOverrun: 5 * time.Second})
}
