package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/examples/internal/embedded"
)

// A ledger is what the lock protects. It remembers the highest fencing token that it
// has seen and refuses a lower one: its writer held the lock before somebody else did.
type ledger struct {
	mu      sync.Mutex
	highest int64
	entries []string
}

var errStale = errors.New("stale token")

func (l *ledger) write(token int64, entry string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if token < l.highest {
		return fmt.Errorf("%w: %d is older than %d", errStale, token, l.highest)
	}
	l.highest = token
	l.entries = append(l.entries, entry)
	return nil
}

func crash(ctx context.Context, s *stage, servers []*embedded.Server) error {
	s.open("A holder is cut off, and comes back as if nothing had happened")
	ada, err := start("ada", servers)
	if err != nil {
		return err
	}
	defer ada.stop() // with errors, since it is cut off by then
	grace, err := start("grace", servers)
	if err != nil {
		return err
	}
	defer grace.stop()

	var book ledger
	mutex := ada.locks.Mutex("ledger")
	old, err := mutex.Lock(ctx)
	if err != nil {
		return err
	}
	s.event("ada", "holds the mutex, token %d", old.Token())
	if err := book.write(old.Token(), "ada's first"); err != nil {
		return err
	}
	s.event("ada", "writes to the ledger")
	ada.crash()
	s.event("ada", "is cut off from all servers; its release will never come")

	told := make(chan struct{})
	go func() {
		defer close(told)
		<-old.Lost()
		s.event("ada", "is told so by its lease, whose context ends with ErrLost")
	}()
	mutex = grace.locks.Mutex("ledger")
	s.event("grace", "waits, at most as long as a lease lives: %v", options.Expiry)
	lease, err := mutex.Lock(ctx)
	if err != nil {
		return err
	}
	granted := time.Now()
	if !errors.Is(context.Cause(old.Context()), redlatch.ErrLost) {
		return errors.New("grace holds the mutex, and ada's lease has not ended")
	}
	<-told
	lead := granted.Sub(old.ValidUntil())
	if lead <= 0 {
		return fmt.Errorf("grace held the mutex %v before ada's lease had ended", -lead)
	}
	s.event("grace", "holds the mutex, token %d: %s", lease.Token(), s.good(fmt.Sprintf("%d ms after the end of ada's lease", lead.Milliseconds())))
	if err := book.write(lease.Token(), "grace's"); err != nil {
		return err
	}
	s.event("grace", "writes to the ledger")

	if err := book.write(old.Token(), "ada's second"); !errors.Is(err, errStale) {
		return fmt.Errorf("the ledger took a write with an old token (%v)", err)
	}
	s.event("ada", "did not listen and writes too: %s", s.bad("refused, its token is older than grace's"))
	if err := lease.Release(ctx); err != nil {
		return err
	}
	if err := old.Release(ctx); !errors.Is(err, redlatch.ErrLost) {
		return fmt.Errorf("ada's release: got %v, want ErrLost", err)
	}

	s.gap()
	s.say("The ledger has: %q.", book.entries)
	s.say("A lease tells its holder in time; a token guards against one that does not listen.")
	return nil
}
