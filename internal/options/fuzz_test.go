package options_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/options"
)

// FuzzResolve gives any values to the options: they are refused with ErrInvalid that
// names a field, or resolved to values that satisfy every rule.
func FuzzResolve(f *testing.F) {
	const ms = int64(time.Millisecond)
	f.Add(int64(0), int64(0), int64(0), int64(0), int64(0), int64(0))
	f.Add(100*ms, 92*ms, 89*ms, int64(1), int64(1), 7000*ms)
	f.Add(100*ms, 93*ms, int64(0), int64(0), int64(0), int64(0))
	f.Add(int64(-1), int64(-1), int64(-1), int64(-1), int64(-1), int64(-1))
	f.Add(int64(1)<<62, int64(1)<<62, int64(1)<<62, int64(1)<<62, int64(1)<<62, int64(1)<<62)
	f.Add(int64(math.MinInt64), int64(math.MinInt64), int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, expiry, minValidity, cadence, minWait, maxWait, guard int64) {
		given := core.Options{
			Expiry: time.Duration(expiry), MinValidity: time.Duration(minValidity), ExtensionCadence: time.Duration(cadence),
			MinBusyWait: time.Duration(minWait), MaxBusyWait: time.Duration(maxWait), RestartGuard: time.Duration(guard),
		}
		got, err := options.Resolve(&given)
		if err != nil {
			if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "Options.") || !strings.Contains(err.Error(), "wanted") {
				t.Errorf("got %v, want %v that names field and bound", err, core.ErrInvalid)
			}
			return
		}
		for name, d := range map[string][2]time.Duration{
			"Expiry": {given.Expiry, got.Expiry}, "MinValidity": {given.MinValidity, got.MinValidity},
			"ExtensionCadence": {given.ExtensionCadence, got.ExtensionCadence}, "MinBusyWait": {given.MinBusyWait, got.MinBusyWait},
			"MaxBusyWait": {given.MaxBusyWait, got.MaxBusyWait}, "RestartGuard": {given.RestartGuard, got.RestartGuard},
		} {
			if d[0] != 0 && d[1] != d[0] {
				t.Errorf("%s was corrected from %v to %v", name, d[0], d[1])
			}
		}
		drift := options.Drift(got.Expiry)
		for rule, kept := range map[string]bool{
			"Expiry is at least 100ms":                                got.Expiry >= 100*time.Millisecond,
			"Expiry is at most a year":                                got.Expiry <= 8760*time.Hour,
			"MinValidity is more than 0":                              got.MinValidity > 0,
			"MinValidity is at most Expiry - drift - 5ms":             got.MinValidity <= got.Expiry-drift-5*time.Millisecond,
			"ExtensionCadence is more than 0":                         got.ExtensionCadence > 0,
			"ExtensionCadence is at most MinValidity - drift":         got.ExtensionCadence <= got.MinValidity-drift,
			"0 < MinBusyWait <= MaxBusyWait":                          got.MinBusyWait > 0 && got.MinBusyWait <= got.MaxBusyWait,
			"RestartGuard is 0 or at least Expiry and 7s":             got.RestartGuard == 0 || got.RestartGuard >= max(got.Expiry, 7*time.Second),
			"no sum or multiple of them that is needed is too large":  2*got.Expiry > 0 && 8*got.MaxBusyWait > 0 && got.RestartGuard+got.Expiry > 0,
			"there is a wall clock":                                   got.Now != nil,
			"what was resolved is resolved to itself, with no errors": resolvesToItself(got),
		} {
			if !kept {
				t.Errorf("%+v was accepted, but not: %s", got, rule)
			}
		}
	})
}

func resolvesToItself(o core.Options) bool {
	again, err := options.Resolve(&o)
	o.Now, again.Now = nil, nil
	return err == nil && again.Expiry == o.Expiry && again.MinValidity == o.MinValidity && again.ExtensionCadence == o.ExtensionCadence &&
		again.MinBusyWait == o.MinBusyWait && again.MaxBusyWait == o.MaxBusyWait && again.RestartGuard == o.RestartGuard
}
