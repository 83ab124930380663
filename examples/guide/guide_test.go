package guide

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/examples/internal/embedded"
)

func provider(t *testing.T, servers int) *redlatch.Provider {
	t.Helper()
	started, err := embedded.Start(servers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { embedded.Stop(started) })
	var addrs []string
	for _, s := range started {
		addrs = append(addrs, s.Addr())
	}
	return at(t, addrs...)
}

// at returns a provider on the servers at addrs.
func at(t *testing.T, addrs ...string) *redlatch.Provider {
	t.Helper()
	locks, err := open(addrs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := locks.Close(); err != nil {
			t.Error(err)
		}
	})
	return locks
}

type store struct{ highest int64 }

func (s *store) Save(_ context.Context, _ string, token int64) error {
	if token <= s.highest {
		return fmt.Errorf("token %d after %d", token, s.highest)
	}
	s.highest = token
	return nil
}

func TestReport(t *testing.T) {
	locks := provider(t, 3)
	s := new(store)
	for range 3 {
		if err := report(t.Context(), locks, s); err != nil {
			t.Error(err)
		}
	}
	if s.highest == 0 {
		t.Error("no token was saved")
	}
}

func TestTry(t *testing.T) {
	locks := provider(t, 3)
	if had, err := try(t.Context(), locks); !had || err != nil {
		t.Errorf("a free mutex: got %v, %v, want true", had, err)
	}
	mutex := locks.Mutex("report")
	lease, err := mutex.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if had, err := try(t.Context(), locks); had || err != nil {
		t.Errorf("a held mutex: got %v, %v, want false and no error", had, err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCatalogue(t *testing.T) {
	locks := provider(t, 3)
	lock := locks.RWMutex("catalogue")
	var done []string
	read := func(ctx context.Context) error {
		beside, err := lock.TryRLock(ctx)
		if err != nil {
			return err
		}
		done = append(done, "read")
		return beside.Release(ctx)
	}
	write := func(ctx context.Context) error {
		if _, err := lock.TryRLock(ctx); !errors.Is(err, redlatch.ErrNotAcquired) {
			return fmt.Errorf("a reader beside the writer: %v", err)
		}
		done = append(done, "write")
		return nil
	}
	if err := catalogue(t.Context(), locks, read, write); err != nil || len(done) != 2 {
		t.Errorf("got %v after %q, want a read and a write", err, done)
	}
}

func TestPrint(t *testing.T) {
	locks := provider(t, 1)
	slots := map[int]bool{}
	var page func(ctx context.Context, printer int) error
	page = func(_ context.Context, printer int) error {
		slots[printer] = true
		if len(slots) == 3 {
			return nil
		}
		return print(t.Context(), locks, page)
	}
	if err := print(t.Context(), locks, page); err != nil {
		t.Error(err)
	}
	if !slots[0] || !slots[1] || !slots[2] {
		t.Errorf("got the slots %v, want 0 to 2", slots)
	}
}

func TestTransfer(t *testing.T) {
	locks := provider(t, 3)
	for _, pair := range [][2]string{{"a", "b"}, {"b", "a"}, {"a", "a"}} {
		moved := false
		err := transfer(t.Context(), locks, pair[0], pair[1], func(ctx context.Context) error {
			moved = true
			return context.Cause(ctx)
		})
		if err != nil || !moved {
			t.Errorf("%v: got %v, moved: %v", pair, err, moved)
		}
	}
}
