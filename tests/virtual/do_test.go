package virtual_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redlatch/redlatch/core"
)

// Where fn returns the cause for which its context ended, that is the whole error of Do.
func TestDoTellsALossOnce(t *testing.T) {
	in(t, 1, func(w *world) {
		c := w.client(core.Options{})
		for what, wrap := range map[string]func(error) error{
			"the cause":     func(err error) error { return err },
			"what wraps it": func(err error) error { return fmt.Errorf("fn's: %w", err) },
			"nil":           func(error) error { return nil },
		} {
			err := core.Do(w.Context(), c.mutex(), func(ctx context.Context) error {
				w.do(w.Nodes[0], "DEL", "m")
				<-ctx.Done()
				return wrap(context.Cause(ctx))
			})
			if !errors.Is(err, core.ErrLost) || strings.Contains(err.Error(), "\n") {
				w.Errorf("fn returns %s: got %q, want that the lease was lost, once", what, err)
			}
		}
	})
}
