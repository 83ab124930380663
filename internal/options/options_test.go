package options_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/options"
)

func TestOptionsDefaults(t *testing.T) {
	for name, opts := range map[string]*core.Options{"nil": nil, "zero": {}} {
		got, err := options.Resolve(opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := core.Options{
			Expiry:           30 * time.Second,
			ExtensionCadence: 10 * time.Second,
			MinValidity:      27 * time.Second,
			MinBusyWait:      10 * time.Millisecond,
			MaxBusyWait:      800 * time.Millisecond,
		}
		if got.Now == nil || time.Since(got.Now()).Abs() > time.Minute {
			t.Errorf("%s: Now does not read the clock", name)
		}
		if got.Expiry != want.Expiry || got.ExtensionCadence != want.ExtensionCadence || got.MinValidity != want.MinValidity ||
			got.MinBusyWait != want.MinBusyWait || got.MaxBusyWait != want.MaxBusyWait || got.KeyPrefix != "" || got.RestartGuard != 0 {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if options.Drift(got.Expiry) != 302*time.Millisecond {
			t.Errorf("%s: got the drift %v, want 302ms", name, options.Drift(got.Expiry))
		}
	}
	opts := &core.Options{Expiry: time.Second}
	if _, err := options.Resolve(opts); err != nil {
		t.Error(err)
	}
	if opts.MinValidity != 0 || opts.ExtensionCadence != 0 || opts.Now != nil {
		t.Errorf("the caller's options were changed: %+v", opts)
	}
}

const (
	ms   = time.Millisecond
	year = 8760 * time.Hour
)

// optionRules are values on both sides of every bound.
var optionRules = []struct {
	name string
	opts core.Options
	want []string // what the error names: field, value, bound; nil: none
}{
	{"expiry, least", core.Options{Expiry: 100 * ms}, nil},
	{"expiry, too short", core.Options{Expiry: 100*ms - 1}, []string{"Options.Expiry", "99.999999ms", "100ms"}},
	{"expiry, negative", core.Options{Expiry: -time.Second}, []string{"Options.Expiry", "-1s", "100ms"}},
	{"expiry, most", core.Options{Expiry: year}, nil},
	{"expiry, too long", core.Options{Expiry: year + 1}, []string{"Options.Expiry", "8760h0m0.000000001s", "8760h0m0s"}},

	{"validity, least", core.Options{Expiry: time.Second, MinValidity: 13 * ms, ExtensionCadence: ms}, nil},
	{"validity, negative", core.Options{MinValidity: -1}, []string{"Options.MinValidity", "-1ns", "302.000001ms"}},
	{"validity, no more than the drift", core.Options{Expiry: time.Second, MinValidity: 12 * ms}, []string{"Options.MinValidity", "12ms", "12.000001ms"}},
	{"validity, most", core.Options{Expiry: time.Second, MinValidity: 983 * ms}, nil}, // drift 12 ms
	{"validity, too long", core.Options{Expiry: time.Second, MinValidity: 983*ms + 1}, []string{"Options.MinValidity", "983.000001ms", "983ms"}},
	{"validity, as long as the expiry", core.Options{Expiry: time.Second, MinValidity: time.Second}, []string{"Options.MinValidity", "1s", "983ms"}},

	{"cadence, least", core.Options{ExtensionCadence: 1}, nil},
	{"cadence, negative", core.Options{ExtensionCadence: -1}, []string{"Options.ExtensionCadence", "-1ns", "1ns"}},
	{"cadence, most", core.Options{Expiry: time.Second, MinValidity: 500 * ms, ExtensionCadence: 488 * ms}, nil},
	{"cadence, too long", core.Options{Expiry: time.Second, MinValidity: 500 * ms, ExtensionCadence: 488*ms + 1}, []string{"Options.ExtensionCadence", "488.000001ms", "488ms"}},
	{"cadence, its default too long", core.Options{Expiry: 3 * time.Second, MinValidity: time.Second}, []string{"Options.ExtensionCadence", "1s", "968ms"}},

	{"busy wait, least", core.Options{MinBusyWait: 1, MaxBusyWait: 1}, nil},
	{"busy wait, negative", core.Options{MinBusyWait: -1}, []string{"Options.MinBusyWait", "-1ns", "1ns"}},
	{"busy wait, min above max", core.Options{MinBusyWait: 3 * ms, MaxBusyWait: 2 * ms}, []string{"Options.MinBusyWait", "3ms", "2ms"}},
	{"busy wait, min above the default max", core.Options{MinBusyWait: time.Second}, []string{"Options.MinBusyWait", "1s", "800ms"}},
	{"busy wait, max below the default min", core.Options{MaxBusyWait: ms}, []string{"BusyWait", "10ms", "1ms"}},
	{"busy wait, max negative", core.Options{MaxBusyWait: -1}, []string{"BusyWait", "-1ns"}},

	{"guard, least", core.Options{Expiry: 20 * time.Second, RestartGuard: 20 * time.Second}, nil},
	{"guard, shorter than the expiry", core.Options{Expiry: 20 * time.Second, RestartGuard: 20*time.Second - 1}, []string{"Options.RestartGuard", "19.999999999s", "20s"}},
	{"guard, least with a short expiry", core.Options{Expiry: time.Second, RestartGuard: 7 * time.Second}, nil},
	{"guard, too short", core.Options{Expiry: time.Second, RestartGuard: 6 * time.Second}, []string{"Options.RestartGuard", "6s", "7s"}},
	{"guard, negative", core.Options{RestartGuard: -1}, []string{"Options.RestartGuard", "-1ns", "30s"}},
}

func TestOptionsRules(t *testing.T) {
	for _, tt := range optionRules {
		t.Run(tt.name, func(t *testing.T) {
			_, err := options.Resolve(&tt.opts)
			if tt.want == nil {
				if err != nil {
					t.Errorf("got %v, want none", err)
				}
				return
			}
			if !errors.Is(err, core.ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to name %q", err, want)
				}
			}
		})
	}
}
