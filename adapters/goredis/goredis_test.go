package goredis_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/adapters/internal/adaptertest"
	"github.com/redlatch/redlatch/core"
)

// The client configurations that change what the adapter sees.
var configurations = []adaptertest.Configuration{
	{Name: "RESP2", Dial: dial(2, false)},
	{Name: "RESP3", Dial: dial(3, false)},
	{Name: "RESP2 ContextTimeoutEnabled", Dial: dial(2, true)},
	{Name: "RESP3 ContextTimeoutEnabled", Dial: dial(3, true)},
	{Name: "connections as TLS makes them", Dial: dial(2, true, func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return opaque{c}, err
		}
	})},
}

// An opaque connection hides its socket, so that the client cannot look whether the server
// has closed it.
type opaque struct{ net.Conn }

func dial(protocol int, contextTimeout bool, change ...func(*redis.Options)) func(testing.TB, string) (adaptertest.Node, func()) {
	return func(t testing.TB, addr string) (adaptertest.Node, func()) {
		o := &redis.Options{
			Addr: addr, Protocol: protocol, ContextTimeoutEnabled: contextTimeout, ReadTimeout: adaptertest.Timeout,
		}
		for _, f := range change {
			f(o)
		}
		client := redis.NewClient(o)
		s := goredis.New(client)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		return s, func() { _ = client.Close() }
	}
}

func TestCheck(t *testing.T) {
	cluster := func(change func(*redis.ClusterOptions)) *redis.ClusterClient {
		o := &redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}
		change(o)
		c := redis.NewClusterClient(o)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	sentinel := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}})
	routed := redis.NewFailoverClusterClient(&redis.FailoverOptions{
		MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}, RouteRandomly: true,
	})
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	t.Cleanup(func() {
		_, _, _, _ = client.Close(), sentinel.Close(), routed.Close(), ring.Close()
	})
	for _, tt := range []struct {
		name   string
		client goredis.Client
		want   string // in the error; "" for none
	}{
		{"nil", nil, "nil"},
		{"typed nil", (*redis.Client)(nil), "nil"},
		{"typed nil in a UniversalClient", redis.UniversalClient((*redis.ClusterClient)(nil)), "nil"},
		{"Ring", ring, "shard"},
		{"Cluster, ReadOnly", cluster(func(o *redis.ClusterOptions) { o.ReadOnly = true }), "replica"},
		{"Cluster, RouteByLatency", cluster(func(o *redis.ClusterOptions) { o.RouteByLatency = true }), "replica"},
		{"Cluster, RouteRandomly", cluster(func(o *redis.ClusterOptions) { o.RouteRandomly = true }), "replica"},
		{"Cluster", cluster(func(*redis.ClusterOptions) {}), ""},
		{"standalone", client, ""},
		{"Sentinel", sentinel, ""},
		{"Sentinel, RouteRandomly", routed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := goredis.New(tt.client).Check()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tt.want != "" && (!errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an ErrInvalid that says %q", err, tt.want)
			}
		})
	}
}

var suite = adaptertest.Suite{Configurations: configurations, IsReply: isReply, IsClosed: isClosed}

func TestAdapter(t *testing.T) { suite.Run(t) }

func BenchmarkEvalSha(b *testing.B) { suite.BenchmarkEvalSha(b) }

// isReply says whether err is the client's type for an error reply.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

func isClosed(err error) bool { return errors.Is(err, redis.ErrClosed) }

// BenchmarkBareEvalSha is what BenchmarkEvalSha is to be compared with.
func BenchmarkBareEvalSha(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: adaptertest.Server(b), ReadTimeout: adaptertest.Timeout})
	defer client.Close()
	const source = `return {1, 1234567890123456, 1700000000, 123456}`
	sha, err := client.ScriptLoad(b.Context(), source).Result()
	if err != nil {
		b.Fatal(err)
	}
	keys := []string{"{k}1", "{k}2", "{k}3", "{k}4"}
	args := []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"}
	b.ReportAllocs()
	for b.Loop() {
		boxed := make([]any, len(args))
		for i, a := range args {
			boxed[i] = a
		}
		if _, err := client.EvalSha(b.Context(), sha, keys, boxed...).Int64Slice(); err != nil {
			b.Fatal(err)
		}
	}
}
