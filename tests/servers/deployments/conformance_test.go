package deployments_test

import (
	"testing"

	"github.com/redlatch/redlatch/conformance"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

func TestClusterConformance(t *testing.T) {
	addrs := redistest.Addrs(clients.Cluster(t))
	for _, d := range clusterClients {
		t.Run(d.client, func(t *testing.T) {
			conformance.Run(t, addrs, func(t *testing.T, addr string) core.Scripter {
				return d.dial(t, []string{addr}, "")
			}, &conformance.Options{Discovers: "a cluster client follows the slot map"})
		})
	}
}

func TestSentinelConformance(t *testing.T) {
	s := redistest.StartSentinel(t, nil)
	for _, d := range sentinelClients {
		t.Run(d.client, func(t *testing.T) {
			conformance.Run(t, s.Addrs(), func(t *testing.T, addr string) core.Scripter {
				return d.dial(t, []string{addr}, s.Name())
			}, &conformance.Options{Discovers: "the sentinels say where the primary is"})
		})
	}
}
