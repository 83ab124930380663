package virtual_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
)

// suffixes are those of the keys beside a lock's own.
var suffixes = []string{
	"mutex:meta", "mutex:queue", "mutex:tickets", "rw:writer", "rw:readers", "rw:meta", "rw:queue", "rw:tickets",
	"semaphore:slots", "semaphore:meta", "semaphore:queue", "semaphore:tickets",
}

// named returns a lock of each kind of that name.
func (c *client) named(name string) []core.Locker {
	c.w.Helper()
	s, err := c.Semaphore(name, 1)
	if err != nil {
		c.w.Fatalf("Semaphore(%q): %v", name, err)
	}
	return []core.Locker{c.Mutex(name), c.RWMutex(name), s.Locker()}
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
		in(t, 1, func(w *world) {
			opts := core.Options{KeyPrefix: prefix}
			a, b := w.client(opts), w.client(opts)
			others := b.named(other)
			for i, l := range a.named(one) {
				lease := w.take(l.TryLock)
				if lease.Name() != one || l.Name() != one {
					w.Errorf("got the names %q and %q, want %q", lease.Name(), l.Name(), one)
				}
				if i == 0 { // later the other name's keys are there as well
					w.checkKeys(key)
				}
				rival := b.named(one)[i]
				w.refused(rival.TryLock, fmt.Sprintf("another client has %q", one))
				if one != other {
					w.free(w.take(others[i].TryLock))
				}
				time.Sleep(time.Minute)
				w.held(lease, fmt.Sprintf("it is extended under the name %q", one))
				w.free(lease)
				w.free(w.take(rival.TryLock))
			}
		})
	})
}

// checkKeys fails the test unless the hold is at exactly the key and all else in its slot.
func (w *world) checkKeys(key string) {
	w.Helper()
	all := w.keys(w.Nodes[0])
	for _, k := range all {
		if got, want := keys.Slot(k), keys.Slot(key); got != want {
			w.Errorf("the key %q is in slot %d, want %d", k, got, want)
		}
	}
	if !slices.Contains(all, key) {
		w.Errorf("got the keys %q, want %q among them", all, key)
	}
}
