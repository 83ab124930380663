package clients

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
	"github.com/redlatch/redlatch/tests/leaks"
)

// A Site is the nodes of a test, some of which may be dead.
type Site struct {
	Addrs  []string
	live   []string
	prefix string        // of the keys
	user   redis.Options // user name and password of the clients; empty: the default user
}

// A trio is the three servers of an image that the tests of a package use together, each
// with names of its own, and never break.
type trio struct {
	once  sync.Once
	group *redistest.Group
	err   error

	limited sync.Once
	user    redis.Options // that docs/acl.md describes
}

// trios are by image; the empty one is the default.
var trios = map[redistest.Image]*trio{"": {}, redistest.Redis70: {}, redistest.Redis80: {}, redistest.Valkey81: {}}

// further are the images that there are beside the default.
var further struct {
	once   sync.Once
	images []redistest.Image
}

// Main runs a package's tests, ends the servers they shared, and looks for goroutines
// that are left. Tests that are parallel mostly wait: so many of them run at a time, which
// may be more than there are processors, unless a flag says how many.
func Main(m *testing.M, parallel int) int {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", strconv.Itoa(parallel)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	redis.SetLogger(silent{}) // it reports each connection that a test breaks
	code := redistest.Main(m)
	for _, three := range trios {
		if three.group == nil {
			continue
		}
		if err := three.group.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return leaks.Check(code)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Servers returns the three shared servers.
func Servers(tb testing.TB) []*redistest.Server {
	tb.Helper()
	return servers(tb, "")
}

func servers(tb testing.TB, image redistest.Image) []*redistest.Server {
	tb.Helper()
	three := trios[image]
	three.once.Do(func() {
		three.group, three.err = redistest.Open(context.Background(), 3, &redistest.Config{Image: image})
	})
	if three.err != nil {
		tb.Fatal(three.err)
	}
	redistest.NeedReal(tb, three.group.Servers())
	return three.group.Servers()
}

// others returns the images that there are beside the default.
func others(tb testing.TB) []redistest.Image {
	tb.Helper()
	further.once.Do(func() {
		images := redistest.Images(tb)
		for _, image := range images {
			// With a choice of one it is the default, whichever it is.
			if len(images) > 1 && image != redistest.Redis80 {
				further.images = append(further.images, image)
			}
		}
	})
	return further.images
}

// Cluster returns the servers of a new cluster, each of which passes messages on to the
// others: a cluster serves before that.
func Cluster(tb testing.TB) []*redistest.Server {
	tb.Helper()
	return ClusterOf(tb, nil)
}

// ClusterOf is [Cluster] of the servers that cfg says.
func ClusterOf(tb testing.TB, cfg *redistest.Config) []*redistest.Server {
	tb.Helper()
	servers := redistest.StartCluster(tb, cfg)
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
	tb.Helper()
	return At(redistest.Addrs(Servers(tb))[:1]...)
}

// Three is three live nodes.
func Three(tb testing.TB) *Site {
	tb.Helper()
	return At(redistest.Addrs(Servers(tb))...)
}

// At is the nodes at addrs.
func At(addrs ...string) *Site { return &Site{Addrs: addrs, live: addrs} }

// An arrangement is n nodes, and what is special about them.
type arrangement struct {
	name   string
	n      int
	dead   int // which node refuses every connection, from 1; 0: none
	rights bool
	image  redistest.Image
}

func (a arrangement) site(tb testing.TB) *Site {
	tb.Helper()
	all := servers(tb, a.image)[:a.n]
	s := At(redistest.Addrs(all)...)
	if a.rights {
		redistest.NeedFaults(tb, all) // given servers are not to be changed
		three := trios[a.image]
		three.limited.Do(func() { three.user = Limit(tb, three.group.Servers()) })
		if three.user.Username == "" {
			tb.Fatal("the user of docs/acl.md could not be made")
		}
		s.user, s.prefix = three.user, Prefix
		tb.Cleanup(func() { NothingDenied(tb, all) })
	}
	if a.dead > 0 {
		s.kill(tb, a.dead-1)
	}
	return s
}

// kill puts something in the place of a node that refuses every connection.
func (s *Site) kill(tb testing.TB, dead int) {
	tb.Helper()
	p := Proxy(tb, s.Addrs[dead])
	p.Refuse()
	all := s.Addrs
	s.Addrs, s.live = slices.Clone(all), slices.Delete(slices.Clone(all), dead, dead+1)
	s.Addrs[dead] = p.Addr()
	tb.Cleanup(func() {
		if n := p.Stats().Refused; n == 0 {
			tb.Error("nobody tried to reach the dead node")
		} else {
			tb.Logf("%d connections to the dead node", n)
		}
	})
}

// Each runs a test on one node, on three, and on three of which one is dead: the first,
// whose queue gives the order while it lives, or the last; as the user that docs/acl.md
// describes; and, of these, one node and three with a dead one on the other images that
// there are.
func Each(t *testing.T, test func(t *testing.T, s *Site)) {
	t.Helper()
	run(t, test, []arrangement{
		{name: "1 node", n: 1},
		{name: "3 nodes", n: 3},
		{name: "3 nodes, first dead", n: 3, dead: 1},
		{name: "3 nodes, last dead", n: 3, dead: 3},
		{name: "1 node, least rights", n: 1, rights: true},
		{name: "3 nodes, least rights", n: 3, rights: true},
	}, []arrangement{
		{name: "1 node", n: 1},
		{name: "3 nodes, last dead", n: 3, dead: 3},
	})
}

// Single is [Each] for what lives on one node.
func Single(t *testing.T, test func(t *testing.T, s *Site)) {
	t.Helper()
	one := arrangement{name: "1 node", n: 1}
	run(t, test, []arrangement{one, {name: "1 node, least rights", n: 1, rights: true}}, []arrangement{one})
}

// run runs a test in arrangements of the default image, and in some of each other one.
func run(t *testing.T, test func(t *testing.T, s *Site), all, some []arrangement) {
	t.Helper()
	for _, image := range others(t) {
		for _, a := range some {
			a.name += ", " + string(image)
			a.image = image
			all = append(all, a)
		}
	}
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) { test(t, a.site(t)) })
	}
}

// Connect returns a client of the site.
func (s *Site) Connect(tb testing.TB, opts *core.Options) *Client {
	tb.Helper()
	var o core.Options
	if opts != nil {
		o = *opts
	}
	o.KeyPrefix = s.prefix + o.KeyPrefix
	return ConnectWith(tb, s.Addrs, &o, s.user, nil)
}

// Key returns the key of the lock of that name.
func (s *Site) Key(name string) string { return s.prefix + name }

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
	through := &Site{live: s.live, prefix: s.prefix, user: s.user}
	var ps []*proxy.Proxy
	for _, addr := range s.Addrs {
		p := Proxy(tb, addr)
		ps = append(ps, p)
		through.Addrs = append(through.Addrs, p.Addr())
	}
	return through, ps
}
