package deployments_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	rueidisclient "github.com/redis/rueidis"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/adapters/rueidis"
	"github.com/redlatch/redlatch/core"
)

// timeout is every timeout of the clients: longer than a machine stands still now and then.
// No test waits for it, a server that was killed refuses connections at once.
const timeout = 5 * time.Second

// A dialer makes a Scripter whose client starts from the addresses; it is closed when
// the test ends. name is what the sentinels call the primary.
type dialer struct {
	client string
	dial   func(t *testing.T, addrs []string, name string) core.Scripter
}

var sentinelClients = []dialer{
	{"goredis", func(t *testing.T, addrs []string, name string) core.Scripter {
		c := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: name, SentinelAddrs: addrs, ContextTimeoutEnabled: true,
			DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout,
		})
		t.Cleanup(func() { _ = c.Close() })
		return goredis.New(c)
	}},
	{"rueidis", func(t *testing.T, addrs []string, name string) core.Scripter {
		o := rueidisclient.ClientOption{InitAddress: addrs, ConnWriteTimeout: timeout}
		o.Dialer.Timeout = timeout
		o.Sentinel.MasterSet, o.Sentinel.TopologyRefreshInterval = name, time.Second
		return dialRueidis(t, o)
	}},
}

var clusterClients = []dialer{
	{"goredis", func(t *testing.T, addrs []string, _ string) core.Scripter {
		c := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: addrs, ContextTimeoutEnabled: true,
			DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout,
		})
		t.Cleanup(func() { _ = c.Close() })
		return goredis.New(c)
	}},
	{"rueidis", func(t *testing.T, addrs []string, _ string) core.Scripter {
		o := rueidisclient.ClientOption{InitAddress: addrs, ConnWriteTimeout: timeout}
		o.Dialer.Timeout = timeout
		return dialRueidis(t, o)
	}},
}

func dialRueidis(t *testing.T, o rueidisclient.ClientOption) core.Scripter {
	t.Helper()
	c, err := rueidisclient.NewClient(o)
	if err != nil && !o.ForceSingleClient { // with it a client is there although it is refused
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return rueidis.New(c)
}

// direct is a client of the one server at addr, to look at what it holds.
func direct(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: timeout, ReadTimeout: 2 * timeout})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually waits until ok, and ends the test if that takes longer than limit.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
