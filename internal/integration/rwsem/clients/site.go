package clients

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// A Site is the nodes of a test, some of which may be dead.
type Site struct {
	Addrs []string
	live  []string
}

// shared are the three servers that the tests of a package use together, each with
// names of its own, and never break.
var shared struct {
	once  sync.Once
	group *redistest.Group
	err   error
}

// Main runs a package's tests, ends the servers they shared, and looks for goroutines
// that are left.
func Main(m *testing.M) int {
	flag.Parse()
	// Tests that are parallel mostly wait: more of them fit beside each other than there are
	// processors.
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", "8"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	redis.SetLogger(silent{}) // it reports each connection that a test breaks
	code := redistest.Main(m)
	if shared.group != nil {
		if err := shared.group.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Servers returns the three shared servers.
func Servers(tb testing.TB) []*redistest.Server {
	tb.Helper()
	shared.once.Do(func() {
		shared.group, shared.err = redistest.Open(context.Background(), 3, nil)
	})
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	redistest.NeedReal(tb, shared.group.Servers())
	return shared.group.Servers()
}

// Cluster returns the servers of a new cluster, each of which passes messages on to the
// others: a cluster serves before that.
func Cluster(tb testing.TB) []*redistest.Server {
	tb.Helper()
	servers := redistest.StartCluster(tb, nil)
	ctx := context.WithoutCancel(tb.Context())
	deadline := time.Now().Add(20 * time.Second)
	for _, c := range At(redistest.Addrs(servers)...).Plain(tb) {
		for {
			nodes, err := c.ClusterNodes(ctx).Result()
			if err == nil && !strings.Contains(nodes, "disconnected") {
				break
			}
			if time.Now().After(deadline) {
				tb.Fatalf("the nodes of the cluster are not connected: %v, %q", err, nodes)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return servers
}

// One is a single live node.
func One(tb testing.TB) *Site {
	addrs := redistest.Addrs(Servers(tb))[:1]
	return &Site{addrs, addrs}
}

// Three is three live nodes.
func Three(tb testing.TB) *Site {
	addrs := redistest.Addrs(Servers(tb))
	return &Site{addrs, addrs}
}

// At is the nodes at addrs.
func At(addrs ...string) *Site { return &Site{addrs, addrs} }

// withDead is three nodes of which one refuses every connection.
func withDead(tb testing.TB, dead int) *Site {
	tb.Helper()
	all := redistest.Addrs(Servers(tb))
	s := &Site{Addrs: append([]string(nil), all...)}
	p := Proxy(tb, all[dead])
	p.Refuse()
	s.Addrs[dead] = p.Addr()
	for i, a := range all {
		if i != dead {
			s.live = append(s.live, a)
		}
	}
	tb.Cleanup(func() {
		if n := p.Stats().Refused; n == 0 {
			tb.Error("nobody tried to reach the dead node")
		} else {
			tb.Logf("%d connections to the dead node", n)
		}
	})
	return s
}

// Each runs a test on one node, on three, and on three of which one is dead: the first,
// whose queue gives the order while it lives, or the last.
func Each(t *testing.T, test func(t *testing.T, s *Site)) {
	for _, c := range []struct {
		name string
		site func(testing.TB) *Site
	}{
		{"1 node", One},
		{"3 nodes", Three},
		{"3 nodes, first dead", func(tb testing.TB) *Site { return withDead(tb, 0) }},
		{"3 nodes, last dead", func(tb testing.TB) *Site { return withDead(tb, 2) }},
	} {
		t.Run(c.name, func(t *testing.T) { test(t, c.site(t)) })
	}
}

// Connect returns a client of the site.
func (s *Site) Connect(tb testing.TB, opts *core.Options) *Client {
	tb.Helper()
	return Connect(tb, s.Addrs, opts)
}

// Plain returns bare clients of the live nodes.
func (s *Site) Plain(tb testing.TB) []*redis.Client {
	var cs []*redis.Client
	for _, addr := range s.live {
		c := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true, MaintNotificationsConfig: quiet})
		tb.Cleanup(func() { c.Close() })
		cs = append(cs, c)
	}
	return cs
}

// Keys returns the keys on the live nodes that hold name, once each.
func (s *Site) Keys(tb testing.TB, name string) []string {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	seen := map[string]bool{}
	var keys []string
	for _, c := range s.Plain(tb) {
		iter := c.Scan(ctx, 0, "*"+glob(name)+"*", 1000).Iterator()
		for iter.Next(ctx) {
			if !seen[iter.Val()] {
				seen[iter.Val()] = true
				keys = append(keys, iter.Val())
			}
		}
		if err := iter.Err(); err != nil {
			tb.Fatal(err)
		}
	}
	return keys
}

// glob quotes what SCAN's MATCH would interpret.
func glob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(s)
}

// Clean reports keys of name that are left on a live node, but for the meta keys, which
// must have a TTL. What is removed in the background is given a moment.
func (s *Site) Clean(tb testing.TB, name string) {
	tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		left := s.left(tb, name)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			tb.Errorf("left behind: %q", left)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *Site) left(tb testing.TB, name string) (left []string) {
	ctx := context.WithoutCancel(tb.Context())
	for _, c := range s.Plain(tb) {
		iter := c.Scan(ctx, 0, "*"+glob(name)+"*", 1000).Iterator()
		for iter.Next(ctx) {
			key := iter.Val()
			if !strings.HasSuffix(key, ":meta") {
				left = append(left, key)
			} else if ttl := c.PTTL(ctx, key).Val(); ttl <= 0 {
				left = append(left, fmt.Sprintf("%s with TTL %v", key, ttl))
			}
		}
		if err := iter.Err(); err != nil {
			tb.Fatal(err)
		}
	}
	return left
}

// Proxy returns a running proxy to addr.
func Proxy(tb testing.TB, addr string) *proxy.Proxy {
	tb.Helper()
	p, err := proxy.Start(addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	return p
}

// Proxied returns a site whose nodes are reached through proxies, for one client.
func (s *Site) Proxied(tb testing.TB) (*Site, []*proxy.Proxy) {
	tb.Helper()
	through := &Site{live: s.live}
	var ps []*proxy.Proxy
	for _, addr := range s.Addrs {
		p := Proxy(tb, addr)
		ps = append(ps, p)
		through.Addrs = append(through.Addrs, p.Addr())
	}
	return through, ps
}
