package locks_test

import (
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
)

// cases is what every thing that locks must do.
var cases = []struct {
	name string
	run  func(t *testing.T, s *subject)
	once bool // on one image alone: it takes long, and the server's part is small
	via  bool // through proxies, which a cluster's client passes by
}{
	{name: "exclusion", run: testExclusion},
	{name: "abandonment", run: testAbandonment},
	{name: "try", run: testTry},
	{name: "deadline", run: testDeadline},
	{name: "cancel", run: testCancel},
	{name: "within", run: testWithin},
	{name: "release", run: testRelease},
	{name: "release with an ended context", run: testReleaseEnded},
	{name: "names", run: testNames},
	{name: "stays held", run: testStaysHeld, once: true},
	{name: "keys deleted", run: testKeysDeleted},
	{name: "all nodes stall", run: testAllStall, once: true, via: true},
}

// brief are options with which a lease is short. A node still has 5.5 s to answer, since
// the machine may be busy.
var brief = core.Options{
	Expiry:           6 * time.Second,
	MinValidity:      500 * time.Millisecond,
	ExtensionCadence: 300 * time.Millisecond,
}

func TestSuite(t *testing.T) {
	for i, image := range redistest.Images(t) {
		t.Run("on "+string(image), func(t *testing.T) {
			t.Parallel()
			for _, a := range arrangements {
				t.Run(a.name, func(t *testing.T) {
					t.Parallel()
					f := a.start(t, image)
					t.Run("things", func(t *testing.T) {
						for _, th := range things {
							if th.single && a.nodes > 1 {
								continue
							}
							s := &subject{th, f, a.prefix}
							for _, c := range cases {
								if c.once && i > 0 || c.via && f.cluster {
									continue
								}
								t.Run(th.name+"/"+c.name, func(t *testing.T) {
									t.Parallel()
									c.run(t, s)
								})
							}
						}
					})
					checkLeftovers(t, f)
				})
			}
		})
	}
}
