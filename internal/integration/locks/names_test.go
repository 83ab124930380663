package locks_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redlatch/redlatch/core"
)

// names must all be names of different locks.
var names = []string{
	"",
	" ",
	strings.Repeat("n", 1000),
	strings.Repeat("n", 999),
	"with\x00nul",
	"with",
	"with\r\nline\r\nends",
	"\r\n",
	"emoji \U0001F512",
	"\xff\xfe not UTF-8",
	"{tag}rest",
	"{tag}other",
	"{}",
	"{",
	"}",
	"a}b{c",
	`back\slash`,
	`back\\slash`,
	`"quoted" 'twice'`,
	"%s%d",
	"Case",
	"case",
	"CASE",
}

// testNames locks every name at once, so each is in the way of itself alone. A mutex and
// a semaphore of one name are one key on a server, so semaphores get prefixes here.
func testNames(t *testing.T, s *subject) {
	if s.single {
		own := *s
		own.prefix += s.thing.name + ":"
		s = &own
	}
	here, there := s.process(t, s.options(patient)), s.process(t, s.options(patient))
	leases := make([]*core.Lease, len(names))
	for i, name := range names {
		l := s.locker(t, here, name)
		for range s.taken {
			lock(t, l)
		}
		leases[i] = lock(t, l)
		if got := leases[i].Name(); got != name {
			t.Errorf("got the lease's name %q, want %q", got, name)
		}
	}
	for i, name := range names {
		l := s.locker(t, there, name)
		if got := l.Name(); got != name {
			t.Errorf("got the name %q, want %q", got, name)
		}
		if lease, err := l.TryLock(t.Context()); !errors.Is(err, core.ErrNotAcquired) {
			t.Errorf("%q: got %v, %v from another process, want ErrNotAcquired", name, lease, err)
		}
		if n := s.holding(t, s.holdKey(name)); n < s.quorum() {
			t.Errorf("%q: %d nodes have the hold at %q, want %d", name, n, s.holdKey(name), s.quorum())
		}
		release(t, leases[i])
		s.free(t, name)
		next, err := l.TryLock(t.Context())
		if err != nil {
			t.Errorf("%q: TryLock after the release: %v", name, err)
			continue
		}
		release(t, next)
	}
}
