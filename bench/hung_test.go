package bench

import (
	"fmt"
	"testing"
)

// BenchmarkHungNode prints what a hung node of three and of five costs this library, the
// lead or the last: the p50 of lock, extension and release, each to that with all nodes.
func BenchmarkHungNode(b *testing.B) {
	s := open(b, 5)
	for _, n := range []int{3, 5} {
		for driver, dial := range map[string]dialNode{GoRedis: goRedisNode, Redigo: redigoNode, Rueidis: rueidisNode} {
			for which, hung := range map[string]int{"lead": 0, "last": n - 1} {
				b.Run(fmt.Sprintf("%dnodes/%s/%s", n, driver, which), func(b *testing.B) {
					for b.Loop() {
						h, err := MeasureHung(b.Context(), s, n, hung, Contender{Library: Redlatch, Driver: driver}, dialExtension(dial), 25, 2)
						if err != nil {
							b.Fatal(err)
						}
						b.ReportMetric(ratio(h.One.Lock, h.All.Lock), "lock-ratio")
						b.ReportMetric(ratio(h.One.Extend, h.All.Extend), "extension-ratio")
						b.ReportMetric(ratio(h.One.Release, h.All.Release), "release-ratio")
					}
				})
			}
		}
	}
}
