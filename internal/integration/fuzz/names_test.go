package fuzz_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/integration/sim"
	"github.com/redlatch/redlatch/internal/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// suffixes are those of the keys beside a lock's own.
var suffixes = []string{
	"mutex:meta", "mutex:queue", "mutex:tickets", "rw:writer", "rw:readers", "rw:meta", "rw:queue", "rw:tickets",
	"semaphore:slots", "semaphore:meta", "semaphore:queue", "semaphore:tickets",
}

// locks returns a lock of each kind of that name.
func locks(t *testing.T, p *redlatch.Provider, name string) []core.Locker {
	t.Helper()
	m, err := p.Mutex(name)
	if err != nil {
		t.Fatalf("Mutex(%q): %v", name, err)
	}
	rw, err := p.RWMutex(name)
	if err != nil {
		t.Fatalf("RWMutex(%q): %v", name, err)
	}
	s, err := p.Semaphore(name, 1)
	if err != nil {
		t.Fatalf("Semaphore(%q): %v", name, err)
	}
	return []core.Locker{m, rw, s.Locker()}
}

// take takes a lock with one attempt.
func take(t *testing.T, l core.Locker, what string) *core.Lease {
	t.Helper()
	lease, err := l.TryLock(t.Context())
	if err != nil {
		t.Fatalf("%s: %q: %v", what, l.Name(), err)
	}
	if lease.Name() != l.Name() {
		t.Errorf("got the name %q, want %q", lease.Name(), l.Name())
	}
	time.Sleep(5 * time.Millisecond)
	return lease
}

// FuzzNames takes two names, and a key prefix. Any name will do; each excludes itself
// and nothing else, and stands at exactly its key.
func FuzzNames(f *testing.F) {
	for _, s := range [][3]string{
		{"orders", "Orders", ""}, {"", "a", "app:"}, {"a}b", "a{b}", ""}, {"{}", "}{", "{x}:"}, {"a\x00b", "a", ""}, {"\r\n", "\n", ""},
		{"*", "?", "["}, {"%s", "%d", ""}, {"🔒", "🔑", ""}, {"\xff", "\xfe", "\xfd"}, {"' \"", "\\", ""}, {strings.Repeat("long", 250), "long", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, one, other, prefix string) {
		key, otherKey := prefix+one, prefix+other
		if slices.Contains(keys.Siblings(key, suffixes...), otherKey) || slices.Contains(keys.Siblings(otherKey, suffixes...), key) {
			t.Skip("one name is written as a key beside the other's")
		}
		synctest.Test(t, func(t *testing.T) {
			c, err := sim.New(sim.Config{Seed: 1, Nodes: 1, Clients: 2}, &sim.Stats{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			var ps []*redlatch.Provider
			for _, client := range c.Clients {
				p, err := redlatch.New(client.Nodes(), &core.Options{KeyPrefix: prefix, Now: client.Wall.Now})
				if err != nil {
					t.Fatal(err)
				}
				ps = append(ps, p)
			}
			defer func() {
				for _, p := range ps {
					if err := p.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				}
			}()
			a, b, c2 := locks(t, ps[0], one), locks(t, ps[1], one), locks(t, ps[1], other)
			for i := range a {
				lease := take(t, a[i], "free")
				if i == 0 { // later the other name's keys are there as well
					checkKeys(t, c.Nodes[0], key)
				}
				if _, err := b[i].TryLock(t.Context()); !errors.Is(err, core.ErrNotAcquired) {
					t.Errorf("got %v, want %v: another client has %q", err, core.ErrNotAcquired, one)
				}
				if one != other {
					if err := take(t, c2[i], "another name is held").Release(t.Context()); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(time.Minute) // it is extended under that name, too
				if ctx := lease.Context(); ctx.Err() != nil {
					t.Errorf("%q was lost: %v", one, context.Cause(ctx))
				}
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(5 * time.Millisecond)
				if err := take(t, b[i], "released").Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	})
}

// checkKeys fails the test unless the hold is at exactly the key and all else in its slot.
func checkKeys(t *testing.T, n *sim.Node, key string) {
	t.Helper()
	reply, err := n.Command("KEYS", "*")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, k := range reply.([]any) {
		all = append(all, k.(string))
		if got, want := keys.Slot(k.(string)), keys.Slot(key); got != want {
			t.Errorf("the key %q is in slot %d, want %d", k, got, want)
		}
	}
	if !slices.Contains(all, key) {
		t.Errorf("got the keys %q, want %q among them", all, key)
	}
}
