package cluster

import (
	"testing"

	"github.com/redlatch/redlatch/core"
)

// none is a node that is not asked.
type none struct{ core.Scripter }

// What is given back after Close has given up, as when a silent node answers in the end, does
// not start the timer again by which Close gives up.
func TestNothingBeginsAfterClose(t *testing.T) {
	s, err := New([]core.Scripter{&none{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.GaveBack()
	if s.hope.Load() != nil {
		t.Error("Close's timer runs again")
	}
	if s.Enter() || s.Add(tenantOf{}) || s.Nodes[0].After(0, func(bool) { t.Error("something was tried again") }) {
		t.Error("a call, a lease or a retry has begun")
	}
}

type tenantOf struct{}

func (tenantOf) Check()                                    {}
func (tenantOf) Close(error, <-chan struct{}, error) error { return nil }
