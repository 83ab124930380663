//go:build unix

package chaos

import (
	"sync"

	"github.com/redlatch/redlatch/conformance/checker"
)

// A ledger collects the claims that the workers report.
type ledger struct {
	clock clock

	mu      sync.Mutex
	open    map[holder]*checker.Claim
	claims  []checker.Claim
	granted map[checker.Kind]int
	by      map[string]int // grants, by adapter
	lost    int
	failed  map[string]int // attempts, by why
}

type holder struct {
	who string
	id  int64
}

func newLedger(c clock) *ledger {
	return &ledger{clock: c, open: map[holder]*checker.Claim{}, granted: map[checker.Kind]int{}, by: map[string]int{}, failed: map[string]int{}}
}

// note records what a process, which uses the adapter, has reported.
func (l *ledger) note(who, adapter string, m report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := holder{who, m.ID}
	if m.Kind == asked {
		l.open[key] = &checker.Claim{
			Name: m.Name, Client: who, Kind: m.Claim, Limit: m.Limit, Slot: checker.NoSlot, Asked: l.clock.time(m.At),
		}
		return
	}
	c := l.open[key]
	if c == nil {
		return
	}
	switch m.Kind {
	case gaveUp:
		c.GaveUp = l.clock.time(m.At)
		l.failed[m.Text]++
		l.close(key)
	case granted:
		c.Granted, c.ValidUntil, c.Token, c.Slot = l.clock.time(m.At), l.clock.time(m.Until), m.Token, m.Slot
		l.granted[c.Kind]++
		l.by[adapter]++
	case extended:
		c.ValidUntil = l.clock.time(m.Until)
	case released, lost:
		c.ValidUntil = l.clock.time(m.Until)
		if m.Kind == lost {
			c.Lost = l.clock.time(m.At)
			l.lost++
		} else {
			c.Released = l.clock.time(m.At)
		}
		l.close(key)
	}
}

// died ends what the process still claims and waits for.
func (l *ledger) died(who string, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, c := range l.open {
		if key.who != who {
			continue
		}
		if c.Granted.IsZero() {
			c.GaveUp = l.clock.time(at)
			l.failed["killed"]++
		} else {
			c.Lost = l.clock.time(at)
			l.lost++
		}
		l.close(key)
	}
}

// close moves a claim that is over to the others.
func (l *ledger) close(key holder) {
	l.claims = append(l.claims, *l.open[key])
	delete(l.open, key)
}

// all returns every claim, also those that have not ended.
func (l *ledger) all() []checker.Claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	claims := append([]checker.Claim(nil), l.claims...)
	for _, c := range l.open {
		claims = append(claims, *c)
	}
	return claims
}
