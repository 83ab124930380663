//go:build unix

package chaos

import (
	"testing"

	client "github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
)

// TestMoments ends connections and deletes keys, but no counter that the clock has not
// passed.
func TestMoments(t *testing.T) {
	t.Parallel()
	servers := redistest.Start(t, 1, nil)
	redistest.NeedReal(t, servers)
	s := &server{Server: servers[0]}
	ctx := t.Context()
	faults := map[string]fault{}
	for _, f := range stateVictim(0, s, ms).faults {
		faults[f.name] = f
	}
	happens := func(name string, want error) {
		t.Helper()
		if err := faults[name].begin(ctx); err != want {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	c := client.NewClient(&client.Options{Addr: s.Addr(), MaxRetries: 3})
	defer c.Close()
	sub := c.Subscribe(ctx, "channel")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	happens("server's connections killed", nil)
	happens("server's subscriptions killed", nil)
	if _, err := sub.Receive(ctx); err == nil {
		t.Error("got a subscription that lives on")
	}
	for _, kind := range []string{"a fencing counter", "the order of a line", "the tickets of a line"} {
		happens("server lost "+kind, errNotYet)
	}
	at, err := c.Time(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	now := at.UnixMicro()
	put := func(args ...any) {
		t.Helper()
		if err := c.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	put("HSET", "{a}:mutex:meta", "token", now+60_000_000)
	happens("server lost a fencing counter", errNotYet)
	put("HSET", "{a}:mutex:meta", "token", now-2_000_000)
	put("ZADD", "{a}:mutex:queue", 1, "id")
	put("HSET", "{a}:mutex:tickets", "id", "x")
	for _, kind := range []string{"a fencing counter", "the order of a line", "the tickets of a line"} {
		happens("server lost "+kind, nil)
	}
	if left, err := c.DBSize(ctx).Result(); err != nil || left != 0 {
		t.Errorf("got %d keys left, %v, want none", left, err)
	}
	s.mu.Lock()
	happens("server's connections killed", errNotYet)
	s.mu.Unlock()
}
