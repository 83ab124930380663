package exclusion_test

import (
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
)

// cases are what needs servers of every arrangement: the conformance suite, which the
// adapters pass on each image, has the rest of what a lock must do.
var cases = []struct {
	name string
	run  func(t *testing.T, s *subject)
}{
	{name: "exclusion", run: testExclusion},
	{name: "abandonment", run: testAbandonment},
	{name: "release", run: testRelease},
}

// brief are options with which a lease is short. A node still has 5.5 s to answer, since
// the machine may be busy.
var brief = core.Options{
	Expiry:           6 * time.Second,
	MinValidity:      500 * time.Millisecond,
	ExtensionCadence: 300 * time.Millisecond,
}

// Every arrangement is on one image, the next on the next.
func TestSuite(t *testing.T) {
	images := redistest.Images(t)
	for i, a := range arrangements {
		image := images[i%len(images)]
		t.Run(a.name+" on "+string(image), func(t *testing.T) {
			t.Parallel()
			f := a.start(t, image)
			t.Run("things", func(t *testing.T) {
				for _, th := range things {
					if th.single && a.nodes > 1 {
						continue
					}
					s := &subject{th, f, a.prefix}
					for _, c := range cases {
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
}
