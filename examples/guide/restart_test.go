package guide

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/conformance/redistest"
)

// restartable starts a server that keeps its data.
func restartable(t *testing.T) *redistest.Server {
	t.Helper()
	servers := redistest.Start(t, 1, &redistest.Config{AppendOnly: true})
	redistest.NeedFaults(t, servers)
	return servers[0]
}

// saving is a store that does something before it saves.
type saving func()

func (s saving) Save(context.Context, string, int64) error {
	s()
	return nil
}

// functions are those of README.md; work is what they do while they hold their locks,
// where they leave that to the caller.
func functions(locks *redlatch.Provider, work func()) map[string]func(ctx context.Context) error {
	worked := func(ctx context.Context) error {
		work()
		return context.Cause(ctx)
	}
	return map[string]func(ctx context.Context) error{
		"report": func(ctx context.Context) error { return report(ctx, locks, saving(work)) },
		"try": func(ctx context.Context) error {
			had, err := try(ctx, locks)
			if err == nil && !had {
				return redlatch.ErrNotAcquired
			}
			return err
		},
		"catalogue": func(ctx context.Context) error { return catalogue(ctx, locks, worked, worked) },
		"print": func(ctx context.Context) error {
			return print(ctx, locks, func(ctx context.Context, _ int) error { return worked(ctx) })
		},
		"transfer": func(ctx context.Context) error { return transfer(ctx, locks, "a", "b", worked) },
	}
}

// Without its server each function says so, which is not that others have the lock, and
// when the server is back, and the client has found out, a call succeeds.
func TestFunctionsAfterARestart(t *testing.T) {
	server := restartable(t)
	locks := at(t, server.Addr())
	redistest.Do(t, server.Kill)
	everyFunction(t, locks, func(call func(ctx context.Context) error) error {
		err := call(t.Context())
		if !isNodeError(err) {
			return fmt.Errorf("without a server: got %w, want its error alone", err)
		}
		return nil
	})
	redistest.Do(t, server.Restart)
	everyFunction(t, locks, func(call func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := call(ctx)
		for isNodeError(err) && ctx.Err() == nil {
			err = call(ctx)
		}
		return err
	})
}

// everyFunction has each function called, all at the same time.
func everyFunction(t *testing.T, locks *redlatch.Provider, do func(call func(ctx context.Context) error) error) {
	t.Helper()
	var group sync.WaitGroup
	for name, call := range functions(locks, func() {}) {
		group.Go(func() {
			if err := do(call); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	group.Wait()
}

func isNodeError(err error) bool {
	var failed *redlatch.NodeError
	return errors.As(err, &failed) && !errors.Is(err, redlatch.ErrNotAcquired)
}

// A restart while the locks are held is not noticed.
func TestFunctionsUnderARestart(t *testing.T) {
	server := restartable(t)
	locks := at(t, server.Addr())
	for name, call := range functions(locks, func() { redistest.Do(t, server.Restart) }) {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
