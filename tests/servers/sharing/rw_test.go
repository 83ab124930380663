package sharing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// brief are options with which a lease is short and extended often. A node still has 5.5 s
// to answer.
func brief() *core.Options {
	return &core.Options{Expiry: 6 * time.Second, MinValidity: 500 * time.Millisecond, ExtensionCadence: 50 * time.Millisecond}
}

// refused reports an error that is not "held by others".
func refused(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, core.ErrNotAcquired) {
		t.Errorf("%s: got %v, want %v", what, err, core.ErrNotAcquired)
	}
}

func TestReadersTogether(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		writer := s.Connect(t, nil).RWMutex(name)
		var readers []*core.Lease
		for range 3 {
			m := s.Connect(t, nil).RWMutex(name)
			readers = append(readers, clients.Take(t, m.RLock), clients.Take(t, m.TryRLock))
		}
		for i, r := range readers {
			if r.Token() != 0 || r.Slot() != -1 || r.Name() != name {
				t.Errorf("reader %d: got token %d, slot %d, name %q, want 0, -1, %q", i, r.Token(), r.Slot(), r.Name(), name)
			}
			if r.Context().Err() != nil {
				t.Errorf("reader %d has ended: %v", i, context.Cause(r.Context()))
			}
		}
		for _, r := range readers {
			_, err := writer.TryLock(t.Context())
			refused(t, "a writer beside readers", err)
			clients.Release(t, r)
		}
		w := clients.Take(t, writer.Lock)
		if w.Token() <= 0 {
			t.Errorf("got the writer's token %d, want more than 0", w.Token())
		}
		for _, try := range []func(context.Context) (*core.Lease, error){writer.TryLock, writer.TryRLock} {
			_, err := try(t.Context())
			refused(t, "beside a writer", err)
		}
		clients.Release(t, w)
		s.Clean(t, name)
	})
}

func TestWriterWaitsForTheLastReaderAndNotLonger(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		a := clients.Take(t, s.Connect(t, nil).RWMutex(name).RLock)
		b := clients.Take(t, s.Connect(t, nil).RWMutex(name).RLock)
		w := clients.Wait(t, s.Connect(t, clients.Slow()).RWMutex(name).Lock)
		s.Queued(t, clients.RW, name, 1)
		clients.Release(t, a)
		_, err := s.Connect(t, nil).RWMutex(name).TryLock(t.Context())
		refused(t, "a second writer beside a reader", err)
		if w.Done() {
			t.Error("the writer came in beside a reader")
		}
		clients.Release(t, b)
		began := time.Now()
		lease := w.Lease(10 * time.Second)
		t.Logf("the writer held %v after the last reader's release", time.Since(began))
		clients.Release(t, lease)
		s.Clean(t, name)
	})
}

func TestReaderBehindAWaitingWriterWaits(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		first := clients.Take(t, s.Connect(t, nil).RWMutex(name).RLock)
		w := clients.Wait(t, s.Connect(t, clients.Slow()).RWMutex(name).Lock)
		s.Queued(t, clients.RW, name, 1)
		_, err := s.Connect(t, nil).RWMutex(name).TryRLock(t.Context())
		refused(t, "a reader that does not wait, behind a waiting writer", err)
		var late []*clients.Pending
		for i := range 3 {
			late = append(late, clients.Wait(t, s.Connect(t, clients.Slow()).RWMutex(name).RLock))
			s.Queued(t, clients.RW, name, i+2)
		}
		clients.Release(t, first)
		writer := w.Lease(10 * time.Second)
		for i, r := range late {
			if r.Done() {
				t.Errorf("late reader %d overtook the writer", i)
			}
		}
		clients.Release(t, writer)
		var readers []*core.Lease
		for _, r := range late { // all of them, together
			readers = append(readers, r.Lease(10*time.Second))
		}
		for _, r := range readers {
			clients.Release(t, r)
		}
		s.Clean(t, name)
	})
}

func TestTryLockLeavesNoIntent(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		r := clients.Take(t, s.Connect(t, nil).RWMutex(name).RLock)
		before := len(s.Keys(t, name))
		writer := s.Connect(t, nil).RWMutex(name)
		for range 5 {
			_, err := writer.TryLock(t.Context())
			refused(t, "a writer beside a reader", err)
			_, err = core.Within(writer, 0).Lock(t.Context())
			refused(t, "a writer that waits for 0, beside a reader", err)
			other, err := s.Connect(t, nil).RWMutex(name).TryRLock(t.Context())
			if err != nil {
				t.Fatalf("a reader after a writer's TryLock: %v", err)
			}
			clients.Release(t, other)
		}
		if now := s.Keys(t, name); len(now) != before {
			t.Errorf("got keys %q, want %d as before the attempts", now, before)
		}
		clients.Release(t, r)
		s.Clean(t, name)
	})
}

func TestWaiterThatLeavesStopsNobody(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		r := clients.Take(t, s.Connect(t, nil).RWMutex(name).RLock)
		w := clients.Wait(t, s.Connect(t, clients.Slow()).RWMutex(name).Lock)
		s.Queued(t, clients.RW, name, 1)
		late := clients.Wait(t, s.Connect(t, clients.Slow()).RWMutex(name).RLock)
		s.Queued(t, clients.RW, name, 2)
		w.Cancel()
		if _, err := w.Result(); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled writer: got %v, want %v", err, context.Canceled)
		}
		// The reader behind it goes in beside the first one, woken by the leaving writer.
		clients.Release(t, late.Lease(10*time.Second))
		clients.Release(t, r)
		s.Clean(t, name)
	})
}

func TestRLocker(t *testing.T) {
	clients.Each(t, func(t *testing.T, s *clients.Site) {
		name := clients.Name(t)
		m := s.Connect(t, nil).RWMutex(name)
		reader := m.RLocker()
		if reader.Name() != name {
			t.Errorf("got the name %q, want %q", reader.Name(), name)
		}
		err := core.Do(t.Context(), reader, func(ctx context.Context) error {
			l, ok := core.FromContext(ctx)
			if !ok || l.Token() != 0 {
				t.Error("no reader's lease in the context")
			}
			clients.Release(t, clients.Take(t, reader.TryLock))
			_, err := m.TryLock(ctx)
			refused(t, "a writer beside an RLocker's lease", err)
			_, err = core.Within(m, time.Second).Lock(core.WithoutLeases(ctx))
			refused(t, "a writer that waits for a second", err)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v too", err, context.DeadlineExceeded)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		s.Clean(t, name)
	})
}
