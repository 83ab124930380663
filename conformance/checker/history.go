package checker

import (
	"context"
	"sync"
	"time"
)

// A History collects claims. All its methods, and those of its attempts, are
// safe for concurrent use.
type History struct {
	now func() time.Time

	mu       sync.Mutex
	attempts []*Attempt
}

// NewHistory returns an empty history on the clock [time.Now].
func NewHistory() *History {
	return NewHistoryAt(time.Now)
}

// NewHistoryAt returns an empty history on the observer's clock now. The clock
// must agree with the ValidUntil of the leases that are recorded.
func NewHistoryAt(now func() time.Time) *History {
	return &History{now: now}
}

// A Request says what is asked for.
type Request struct {
	Name   string // as in [Claim]
	Client string
	Kind   Kind
	Weight int // of a permit; 0 counts as 1
	Limit  int // of a permit's semaphore; 0: not checked
}

// A Lease is what the history reads of a lease that was granted. redlatch's
// core.Lease is one. If it also has a method Slot() int, the slot is recorded.
type Lease interface {
	Context() context.Context // ends when the lease does
	Token() int64
	ValidUntil() time.Time
}

// An Attempt is one claim in the making.
type Attempt struct {
	h     *History
	claim Claim       // guarded by h.mu
	lease Lease       // guarded by h.mu; nil before Granted and after the end
	stop  func() bool // guarded by h.mu
}

// Ask records that Lock is about to be called.
func (h *History) Ask(r Request) *Attempt {
	a := &Attempt{h: h, claim: Claim{
		Name: r.Name, Client: r.Client, Kind: r.Kind,
		Weight: r.Weight, Limit: r.Limit, Slot: NoSlot, Asked: h.now(),
	}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attempts = append(h.attempts, a)
	return a
}

// Add records a whole claim, such as one that another process sent.
func (h *History) Add(c Claim) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attempts = append(h.attempts, &Attempt{h: h, claim: c})
}

// GaveUp records that Lock returned without the lock.
func (a *Attempt) GaveUp() {
	now := a.h.now()
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	if a.claim.Granted.IsZero() && a.claim.GaveUp.IsZero() {
		a.claim.GaveUp = now
	}
}

// Granted records that Lock has returned l. From now on the history watches the
// lease's context and its deadline. Only the first call counts.
func (a *Attempt) Granted(l Lease) {
	now, until := a.h.now(), l.ValidUntil()
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	if !a.claim.Granted.IsZero() {
		return
	}
	a.claim.Granted, a.claim.ValidUntil, a.claim.Token = now, until, l.Token()
	if s, ok := l.(interface{ Slot() int }); ok {
		a.claim.Slot = s.Slot()
	}
	a.lease = l
	a.stop = context.AfterFunc(l.Context(), func() { a.end(true) })
}

// Released records that Release is about to be called. It is of no effect on a
// claim that has ended already.
func (a *Attempt) Released() {
	a.end(false)
}

// end closes the claim at this moment. The deadline is read once more: it may
// have moved since the grant, and a loss that is noticed late is not held
// against the lease beyond its own deadline.
func (a *Attempt) end(lost bool) {
	now := a.h.now()
	a.h.mu.Lock()
	l, stop := a.lease, a.stop
	a.lease, a.stop = nil, nil
	a.h.mu.Unlock()
	if l == nil {
		return
	}
	stop()
	until := l.ValidUntil()
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	a.claim.ValidUntil = until
	if lost {
		a.claim.Lost = now
	} else {
		a.claim.Released = now
	}
}

// Claims returns what has been recorded so far, in the order of asking. Claims
// still held have the deadline that their lease has now.
func (h *History) Claims() []Claim {
	h.mu.Lock()
	attempts := h.attempts[:len(h.attempts):len(h.attempts)]
	h.mu.Unlock()

	claims := make([]Claim, 0, len(attempts))
	for _, a := range attempts {
		claims = append(claims, a.current())
	}
	return claims
}

func (a *Attempt) current() Claim {
	a.h.mu.Lock()
	c, l := a.claim, a.lease
	a.h.mu.Unlock()
	if l != nil {
		c.ValidUntil = l.ValidUntil()
	}
	return c
}

// Check judges the claims recorded so far by rules; nil stands for the zero
// Rules. The error joins a [*Violation] for each breach, in order of name, rule
// and time, but at most ten of one name for the holding, for the permits with their
// slots, for the tokens, and so on; nil means that there is none. Waits that are still going on are
// counted up to this moment.
func (h *History) Check(rules *Rules) error {
	r := Rules{}
	if rules != nil {
		r = *rules
	}
	if r.Until.IsZero() {
		r.Until = h.now()
	}
	return Check(h.Claims(), &r)
}
