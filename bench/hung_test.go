package bench

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkHungNode prints what a hung node of three and of five costs this library: the
// p50 of lock, extension and release together, to that with all nodes.
func BenchmarkHungNode(b *testing.B) {
	s := open(b, 5)
	for _, n := range []int{3, 5} {
		for driver, dial := range map[string]dialNode{GoRedis: goRedisNode, Redigo: redigoNode, Rueidis: rueidisNode} {
			b.Run(fmt.Sprintf("%dnodes/%s", n, driver), func(b *testing.B) {
				for b.Loop() {
					h, err := MeasureHung(b.Context(), s, n, Contender{Library: Redlatch, Driver: driver}, dialExtension(dial), 25, 2)
					if err != nil {
						b.Fatal(err)
					}
					for unit, step := range map[string]func(Phases) time.Duration{
						"lock-ratio":      func(p Phases) time.Duration { return p.Lock },
						"extension-ratio": func(p Phases) time.Duration { return p.Extend },
						"release-ratio":   func(p Phases) time.Duration { return p.Release },
					} {
						b.ReportMetric(ratio(step(h.One), step(h.All)), unit)
					}
				}
			})
		}
	}
}
