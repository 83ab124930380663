package valkeygo_test

import (
	"net"
	"testing"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/redlatch/redlatch/conformance"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/examples/valkeygo"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Addrs(t), func(t *testing.T, addr string) core.Scripter {
		client, err := valkey.NewClient(valkey.ClientOption{
			InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true, // it comes back although nobody listens
			Dialer:           net.Dialer{Timeout: 5 * time.Second},
			ConnWriteTimeout: 5 * time.Second, // how long a call that is not pipelined outlives its context
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return valkeygo.New(client)
	}, nil)
}
