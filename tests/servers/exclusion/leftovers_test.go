package exclusion_test

import (
	"strings"
	"testing"
	"time"
)

// checkLeftovers lists what is left on the servers of a fleet on which everything has
// been released: the fencing counters and the marks by which nodes are told apart,
// each with a TTL.
func checkLeftovers(t *testing.T, f *fleet) {
	t.Helper()
	f.closed(t)
	for _, s := range f.live {
		if !s.CanFault() {
			continue // given servers have other users
		}
		addr := s.Addr()
		c := client(t, addr)
		var others []string
		eventually(t, 8*time.Second, "only meta and probe keys are left on "+addr, func() bool {
			all, err := c.Keys(t.Context(), "*").Result()
			if err != nil {
				t.Fatal(err)
			}
			before := len(others)
			others = nil
			for _, key := range all {
				if !strings.HasSuffix(key, ":meta") && !strings.Contains(key, "probe:") {
					others = append(others, key)
				}
			}
			if n := len(others); n > 0 && n != before {
				t.Logf("%s: still there: %q", addr, others[:min(n, 5)])
			}
			return len(others) == 0
		})
		all, err := c.Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range all {
			ttl, err := c.PTTL(t.Context(), key).Result()
			if err != nil {
				t.Fatal(err)
			}
			if ttl == -1 || ttl > 3*time.Minute {
				t.Errorf("%s: key %q has the TTL %v", addr, key, ttl)
			}
		}
	}
}
