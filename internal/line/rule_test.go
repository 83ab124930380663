package line_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// What a node may do with an acquire in TestWhoStandsInTheWay.
var manners = []struct {
	name string
	h    handler
}{
	{"grants", nil},
	{"refuses", reply(0, 1, 1000, -1, 1, 0)},
	{"fails", func(c *call) ([]int64, error) {
		time.Sleep(time.Millisecond) // last: half of an even number that fails decides by itself
		return failing(c)
	}},
	{"is silent", silent},
}

const (
	grants = iota
	refuses
	fails
	isSilent
)

// class is what an error tells a handler.
func class(err error) string {
	var node *core.NodeError
	switch held, failed := errors.Is(err, core.ErrNotAcquired), errors.As(err, &node); {
	case held && !failed:
		return "others"
	case failed && !held:
		return "outage"
	case err == nil:
		return "lease"
	}
	return "neither"
}

// rule says what TryLock has to tell of nodes that behave so: see core.ErrNotAcquired.
func rule(nodes []int) string {
	n := [4]int{}
	for _, m := range nodes {
		n[m]++
	}
	failed, q := n[fails]+n[isSilent], len(nodes)/2+1
	serving := slices.IndexFunc(nodes, func(m int) bool { return m == grants || m == refuses })
	leadSays := serving >= 0 && nodes[serving] == refuses
	switch {
	case n[grants] >= q:
		return "lease"
	case len(nodes)-n[refuses] < q:
		return "others"
	case leadSays && len(nodes)-failed >= q:
		return "others"
	}
	return "outage"
}

// Every way in which 1 to 5 nodes may answer: the error tells others from an outage by the
// rule, whether the attempt comes to its end or the caller leaves.
func TestWhoStandsInTheWay(t *testing.T) {
	seen := map[string]int{}
	for n := 1; n <= 5; n++ {
		nodes := make([]int, n)
		for {
			for _, left := range []bool{false, true} {
				virtual(t, func(t *testing.T) {
					ss := servers(n)
					names := make([]string, n)
					for i, m := range nodes {
						ss[i].on("acquire", manners[m].h)
						names[i] = manners[m].name
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					if left {
						ctx, cancel = context.WithTimeout(t.Context(), time.Second)
						defer cancel()
					}
					lease, err := mutex(t, ss, nil).TryLock(ctx)
					got, want := class(err), rule(nodes)
					if got != want {
						t.Errorf("%v, the caller left: %v: got %s (%v), want %s", names, ctx.Err() != nil, got, err, want)
					}
					if lease == nil && (ctx.Err() != nil) != errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v: got %v, the context's error is %v", names, err, ctx.Err())
					}
					seen[fmt.Sprintf("%s, left: %v", got, ctx.Err() != nil)]++
					if lease != nil {
						free(t, lease)
					}
				})
			}
			if !next(nodes) {
				break
			}
		}
	}
	for _, outcome := range []string{"lease, left: false", "others, left: false", "outage, left: false", "others, left: true", "outage, left: true"} {
		if seen[outcome] == 0 {
			t.Errorf("no case ended with %s", outcome)
		}
	}
	t.Log(seen)
}

// next counts on to the next way in which nodes may behave; false: that was the last.
func next(nodes []int) bool {
	for i := range nodes {
		if nodes[i]++; nodes[i] < len(manners) {
			return true
		}
		nodes[i] = 0
	}
	return false
}
