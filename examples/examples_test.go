package examples_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPrograms runs each example and looks at what it prints.
func TestPrograms(t *testing.T) {
	for _, tt := range []struct {
		name string
		want map[string]int // how often at least
	}{
		{"fencing", map[string]int{
			"second holder writes, rows changed: 1": 1, "late, rows changed: 0": 1, "the report is: by the second": 1,
		}},
		{"leader", map[string]int{"leads, term 1": 3, "steps down": 3}},
		{"workers", map[string]int{"serves shard 0": 1, "serves shard 1": 1, "serves shard 2": 1, "leaves shard": 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // most of it for the compiler
			defer cancel()
			out, err := exec.CommandContext(ctx, "go", "run", "./"+tt.name).CombinedOutput()
			if err != nil {
				t.Errorf("%v", err)
			}
			for text, times := range tt.want {
				if got := strings.Count(string(out), text); got < times {
					t.Errorf("it says %q %d times, at least %d wanted", text, got, times)
				}
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}
