package redlock_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
)

// unused is a Scripter that must not be called.
type unused struct {
	t     *testing.T
	check error
}

func (u *unused) EvalSha(context.Context, string, []string, []string) ([]int64, error) {
	u.t.Error("a constructor sent something")
	return nil, errors.New("unused")
}

func (u *unused) Eval(context.Context, string, []string, []string) ([]int64, error) {
	u.t.Error("a constructor sent something")
	return nil, errors.New("unused")
}

func (u *unused) Check() error { return u.check }

// loose is a Scripter that cannot be compared.
type loose struct {
	core.Scripter
	_ []int
}

// wrapped can be compared if what it holds can.
type wrapped struct{ core.Scripter }

// constructors make a lock, or what makes locks, and say whether there is one.
var constructors = map[string]func(nodes []core.Scripter, opts *core.Options) (made bool, err error){
	"NewMutex": func(nodes []core.Scripter, opts *core.Options) (bool, error) {
		m, err := redlock.NewMutex(nodes, "name", opts)
		return m != nil, err
	},
	"NewRWMutex": func(nodes []core.Scripter, opts *core.Options) (bool, error) {
		m, err := redlock.NewRWMutex(nodes, "name", opts)
		return m != nil, err
	},
	"redlatch.New": func(nodes []core.Scripter, opts *core.Options) (bool, error) {
		p, err := redlatch.New(opts, nodes...)
		return p != nil, err
	},
}

func TestBadInput(t *testing.T) {
	a, b := &unused{t: t}, &unused{t: t}
	noClient := errors.New("the client is nil")
	tests := []struct {
		name  string
		nodes []core.Scripter
		opts  *core.Options
		want  []string // in the error; nil: none
		node  int      // that the error is about; -1: none
	}{
		{"one node", []core.Scripter{a}, nil, nil, -1},
		{"two nodes", []core.Scripter{a, b}, &core.Options{}, nil, -1},
		{"uncomparable nodes", []core.Scripter{loose{Scripter: a}, loose{Scripter: b}}, nil, nil, -1},
		{"nodes that hold what is uncomparable", []core.Scripter{wrapped{loose{Scripter: a}}, wrapped{loose{Scripter: b}}}, nil, nil, -1},
		{"nil nodes", nil, nil, []string{"0 nodes", "at least 1"}, -1},
		{"no nodes", []core.Scripter{}, nil, []string{"0 nodes", "at least 1"}, -1},
		{"nil node", []core.Scripter{a, nil}, nil, []string{"node 1", "nil Scripter"}, 1},
		{"nil pointer", []core.Scripter{(*unused)(nil)}, nil, []string{"node 0", "nil *redlock_test.unused"}, 0},
		{"one that cannot serve", []core.Scripter{a, &unused{t: t, check: noClient}}, nil, []string{"node 1", noClient.Error()}, 1},
		{"the same twice", []core.Scripter{a, b, a}, nil, []string{"node 2", "the same Scripter as node 0"}, 2},
		{"an option", []core.Scripter{a}, &core.Options{Expiry: time.Millisecond}, []string{"Options.Expiry", "1ms", "100ms"}, -1},
		{"an option above its bound", []core.Scripter{a, b}, &core.Options{MinValidity: 30 * time.Second}, []string{"Options.MinValidity", "30s", "29.693s", "Expiry - drift - 5ms"}, -1},
		{"a guard below the expiry", []core.Scripter{a, b}, &core.Options{RestartGuard: 29 * time.Second}, []string{"Options.RestartGuard", "29s", "30s"}, -1},
	}
	for _, tt := range tests {
		for constructor, construct := range constructors {
			t.Run(tt.name+"/"+constructor, func(t *testing.T) {
				made, err := construct(tt.nodes, tt.opts)
				if tt.want == nil {
					if err != nil || !made {
						t.Errorf("got %v, made: %v", err, made)
					}
					return
				}
				if made || !errors.Is(err, core.ErrInvalid) {
					t.Fatalf("got %v, made: %v; want ErrInvalid", err, made)
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("got %q, want it to name %q", err, want)
					}
				}
				var node *core.NodeError
				if errors.As(err, &node) != (tt.node >= 0) || node != nil && node.Node != tt.node {
					t.Errorf("got the NodeError %v, want one of node %d", node, tt.node)
				}
			})
		}
	}
}
