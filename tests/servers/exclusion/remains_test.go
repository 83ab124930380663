package exclusion_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	redigoclient "github.com/gomodule/redigo/redis"
	rueidisclient "github.com/redis/rueidis"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/adapters/redigo"
	"github.com/redlatch/redlatch/adapters/rueidis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
)

// adapters bind a client of each kind to the server at addr.
var adapters = map[string]func(t *testing.T, addr string) core.Scripter{
	"goredis": func(t *testing.T, addr string) core.Scripter { return goredis.New(client(t, addr)) },
	"redigo": func(t *testing.T, addr string) core.Scripter {
		pool := &redigoclient.Pool{MaxIdle: 16, DialContext: func(ctx context.Context) (redigoclient.Conn, error) {
			return redigoclient.DialContext(ctx, "tcp", addr)
		}}
		t.Cleanup(func() { _ = pool.Close() })
		return redigo.New(pool)
	},
	"rueidis": func(t *testing.T, addr string) core.Scripter {
		c, err := rueidisclient.NewClient(rueidisclient.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return rueidis.New(c)
	},
}

// eachAdapter runs a test with each client, as nodes at addrs.
func eachAdapter(t *testing.T, addrs []string, test func(t *testing.T, nodes []core.Scripter)) {
	for name, dial := range adapters {
		t.Run(name, func(t *testing.T) {
			var nodes []core.Scripter
			for _, addr := range addrs {
				nodes = append(nodes, dial(t, addr))
			}
			test(t, nodes)
		})
	}
}

// lining counts the acquire calls of who stands in line.
type lining struct {
	core.Scripter
	calls *atomic.Int64
}

func (l lining) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	if len(args) > 7 { // what follows is about its ticket
		l.calls.Add(1)
	}
	return l.Scripter.EvalSha(ctx, sha1, keys, args)
}

// One goroutine that locks and unlocks one name on five nodes is in nobody's way: where a
// release is still on its way to some of them, the next acquire does not take its own
// remains for others and goes to the end of a line.
func TestAloneOnFiveNodes(t *testing.T) {
	f := start(t, 5, nil)
	redistest.NeedReal(t, f.servers)
	eachAdapter(t, redistest.Addrs(f.servers), func(t *testing.T, nodes []core.Scripter) {
		var long atomic.Int64
		for i, n := range nodes {
			nodes[i] = lining{n, &long}
		}
		m := mutex(t, provider(t, nodes, nil), t.Name())
		const pairs = 3000
		times := make([]time.Duration, pairs)
		for i := range times {
			began := time.Now()
			lease, err := m.Lock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			release(t, lease)
			times[i] = time.Since(began)
		}
		slices.Sort(times)
		t.Logf("%d of %d pairs in line, p50 %v", long.Load(), pairs, times[pairs/2])
		if n := long.Load(); n > pairs/20 {
			t.Errorf("%d calls of those that stand in line for %d pairs, want nearly none", n, pairs)
		}
	})
}
