package redigo_test

import (
	"testing"

	"github.com/redlatch/redlatch/conformance"
	"github.com/redlatch/redlatch/core"
)

func TestConformance(t *testing.T) {
	addrs := conformance.Addrs(t)
	for _, c := range configurations {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			conformance.Run(t, addrs, func(t *testing.T, addr string) core.Scripter {
				s, end := c.Dial(t, addr)
				t.Cleanup(end)
				return s
			}, nil)
		})
	}
}
