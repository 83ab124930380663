// Package options fills in core.Options. It is not core's, since users have no need of it.
package options

import (
	"fmt"
	"time"

	"github.com/redlatch/redlatch/core"
)

// Drift returns what is taken off every lease of that Expiry for clocks that do not run
// alike.
func Drift(expiry time.Duration) time.Duration { return expiry/100 + 2*time.Millisecond }

// Resolve returns a copy with the defaults filled in, or an error for a field that
// is out of its bounds. o may be nil.
func Resolve(o *core.Options) (core.Options, error) {
	var r core.Options
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

	drift, guard := Drift(r.Expiry), r.RestartGuard
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
		{"MinValidity", r.MinValidity, drift + 1, r.Expiry - drift - 5*time.Millisecond, " (drift)", " (Expiry - drift - 5ms)"},
		{"ExtensionCadence", r.ExtensionCadence, 1, r.MinValidity - drift, "", " (MinValidity - drift)"},
		{"MinBusyWait", r.MinBusyWait, 1, r.MaxBusyWait, "", " (MaxBusyWait)"},
		{"RestartGuard", guard, max(r.Expiry, 7*time.Second), 8760 * time.Hour, " (Expiry, 7s)", ""},
		{"MaxBusyWait", r.MaxBusyWait, r.MinBusyWait, 8760 * time.Hour, " (MinBusyWait)", ""},
	} {
		if rule.value < rule.low {
			return core.Options{}, fmt.Errorf("%w: Options.%s is %v, at least %v%s wanted", core.ErrInvalid, rule.field, rule.value, rule.low, rule.ofLow)
		}
		if rule.value > rule.high {
			return core.Options{}, fmt.Errorf("%w: Options.%s is %v, at most %v%s wanted", core.ErrInvalid, rule.field, rule.value, rule.high, rule.ofHigh)
		}
	}
	return r, nil
}
