package core

import (
	"fmt"
	"time"
)

// Options says how locks are held and waited for. It is the last argument of every
// constructor; nil and the zero value of each field mean the default. A value out
// of its bounds is refused by the constructor, with an error that is [ErrInvalid]
// and names the field, the value and the bound.
//
// All clients of one name should use the same Expiry; they need not.
type Options struct {
	// Expiry is the time after which a node frees a hold that nobody extended: how
	// long others wait after the holder's process died.
	// At least 100 ms and at most 8760 h. Default: 30 s.
	Expiry time.Duration

	// ExtensionCadence is the time between two extensions of a held lease. Extension
	// cannot be switched off.
	// More than 0, at most MinValidity less the drift. Default: Expiry / 3.
	ExtensionCadence time.Duration

	// MinValidity is the validity that a lease has at least left when Lock returns
	// it. What remains of Expiry, Expiry - MinValidity, is the time that a node has to
	// answer; an attempt has the drift less to reach its majority.
	// More than the drift, at most Expiry less the drift less 5 ms. Default: 90 % of
	// Expiry.
	MinValidity time.Duration

	// MinBusyWait and MaxBusyWait bound the sleep between two attempts of a waiter;
	// each is drawn uniformly from the range. Waiters far down the line, and woken by
	// push, sleep longer.
	// More than 0, MinBusyWait at most MaxBusyWait. Default: 10 ms and 800 ms.
	MinBusyWait, MaxBusyWait time.Duration

	// RestartGuard is for nodes that may lose data when they restart: a node grants
	// nothing until it has been up that long, by INFO's uptime, so that whatever it
	// held before has ended and tokens do not repeat. It is stored with each lock, and
	// a client with another one is refused with [ErrInvalid] until the lock has not been
	// used for some minutes; a node whose INFO is hidden grants nothing. A node that lost its
	// data has forgotten the guard, too, and grants at once to a client without one: set it
	// for all clients of a name. Until the time is over the node fails with a [NodeError]
	// whose text has GUARDED and what is left; Lock waits for that only if a majority has
	// answered in that call.
	// 0, or at least Expiry and at least 7 s. Default: 0, no guard.
	RestartGuard time.Duration

	// KeyPrefix is put before every name to make its key. Default: none.
	KeyPrefix string

	// Now reads the wall clock, the second opinion on every deadline beside Go's
	// monotonic clock, which stands still while a machine is suspended. It is there
	// for tests. Default: time.Now.
	Now func() time.Time
}

// Drift returns what is taken off every lease for clocks that do not run alike:
// 1 % of Expiry and 2 ms, as in the RedLock description
// (redis.io/docs/latest/develop/clients/patterns/distributed-locks).
func (o Options) Drift() time.Duration { return o.Expiry/100 + 2*time.Millisecond }

// Resolve returns a copy with the defaults filled in, or an error for a field that
// is out of its bounds. Constructors call it; o may be nil.
func (o *Options) Resolve() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	fill := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	fill(&r.Expiry, 30*time.Second)
	fill(&r.ExtensionCadence, r.Expiry/3)
	fill(&r.MinValidity, r.Expiry/10*9)
	fill(&r.MinBusyWait, 10*time.Millisecond)
	fill(&r.MaxBusyWait, 800*time.Millisecond)
	if r.Now == nil {
		r.Now = time.Now
	}

	guard := r.RestartGuard
	if guard == 0 {
		guard = 8760 * time.Hour
	}
	for _, rule := range []struct {
		field         string
		value         time.Duration
		low, high     time.Duration
		ofLow, ofHigh string
	}{
		{"Expiry", r.Expiry, 100 * time.Millisecond, 8760 * time.Hour, "", ""},
		{"MinValidity", r.MinValidity, r.Drift() + 1, r.Expiry - r.Drift() - 5*time.Millisecond, " (drift)", " (Expiry - drift - 5ms)"},
		{"ExtensionCadence", r.ExtensionCadence, 1, r.MinValidity - r.Drift(), "", " (MinValidity - drift)"},
		{"MinBusyWait", r.MinBusyWait, 1, r.MaxBusyWait, "", " (MaxBusyWait)"},
		{"RestartGuard", guard, max(r.Expiry, 7*time.Second), 8760 * time.Hour, " (Expiry, 7s)", ""},
		{"MaxBusyWait", r.MaxBusyWait, r.MinBusyWait, 8760 * time.Hour, " (MinBusyWait)", ""},
	} {
		if rule.value < rule.low {
			return Options{}, fmt.Errorf("%w: Options.%s is %v, at least %v%s wanted", ErrInvalid, rule.field, rule.value, rule.low, rule.ofLow)
		}
		if rule.value > rule.high {
			return Options{}, fmt.Errorf("%w: Options.%s is %v, at most %v%s wanted", ErrInvalid, rule.field, rule.value, rule.high, rule.ofHigh)
		}
	}
	return r, nil
}
