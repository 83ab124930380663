package semaphore_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/semaphore"
)

// unused is a Scripter that must not be called: it has none.
type unused struct {
	core.Scripter
	check error
}

func (u *unused) Check() error { return u.check }

// invalid fails the test unless nothing was made and the error says all of want.
func invalid(t *testing.T, s *semaphore.Semaphore, err error, want ...string) {
	t.Helper()
	if s != nil || !errors.Is(err, core.ErrInvalid) {
		t.Fatalf("got %v, %v, want nil and %v", s, err, core.ErrInvalid)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want it to name %q", err, w)
		}
	}
}

func TestLimits(t *testing.T) {
	p, err := redlatch.New(nil, &unused{}, &unused{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	most := math.MaxInt32
	constructors := map[string]func(limit int) (*semaphore.Semaphore, error){
		"New":                func(limit int) (*semaphore.Semaphore, error) { return semaphore.New(&unused{}, "name", limit, nil) },
		"Provider.Semaphore": func(limit int) (*semaphore.Semaphore, error) { return p.Semaphore("name", limit) },
	}
	for _, tt := range []struct {
		limit int
		ok    bool
	}{
		{math.MinInt, false}, {-1, false}, {0, false}, {1, true}, {2, true}, {most, true}, {most + 1, false},
	} {
		for constructor, construct := range constructors {
			t.Run(fmt.Sprint(tt.limit, "/", constructor), func(t *testing.T) {
				s, err := construct(tt.limit)
				if !tt.ok {
					invalid(t, s, err, `the limit of semaphore "name"`, fmt.Sprintf("is %d,", tt.limit), "1 to 2147483647 wanted")
				} else if err != nil || s.Limit() != tt.limit || s.Name() != "name" {
					t.Errorf("got %v, %v, want one with %d permits", s, err, tt.limit)
				}
			})
		}
	}
}

func TestBadInput(t *testing.T) {
	noClient := errors.New("the client is nil")
	for _, tt := range []struct {
		name string
		node core.Scripter
		opts *core.Options
		want []string // in the error; nil: none
		bad  bool     // the error is about the node
	}{
		{"a node", &unused{}, nil, nil, false},
		{"options", &unused{}, &core.Options{}, nil, false},
		{"nil node", nil, nil, []string{"node 0", "nil Scripter"}, true},
		{"nil pointer", (*unused)(nil), nil, []string{"node 0", "nil *semaphore_test.unused"}, true},
		{"one that cannot serve", &unused{check: noClient}, nil, []string{"node 0", noClient.Error()}, true},
		{"an option below its bound", &unused{}, &core.Options{Expiry: time.Millisecond}, []string{"Options.Expiry", "1ms", "100ms"}, false},
		{"an option above its bound", &unused{}, &core.Options{ExtensionCadence: time.Minute}, []string{"Options.ExtensionCadence", "1m0s", "26.698s", "MinValidity - drift"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := semaphore.New(tt.node, "name", 1, tt.opts)
			if tt.want == nil {
				if err != nil || s == nil {
					t.Errorf("got %v, %v, want a semaphore", s, err)
				}
				return
			}
			invalid(t, s, err, tt.want...)
			var node *core.NodeError
			if errors.As(err, &node) != tt.bad || node != nil && node.Node != 0 {
				t.Errorf("got the NodeError %v, want one of node 0: %v", node, tt.bad)
			}
		})
	}
}
