//go:build unix

package chaos

import (
	"context"
	"fmt"
	"time"

	client "github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/tests/states"
)

// stateVictim makes one server refuse for a while, in the ways in which servers do that
// are up and keep their data; or lets it end connections, or lose a key that no promise
// depends on.
func stateVictim(i int, s *server, sound time.Duration) *victim {
	v := &victim{name: fmt.Sprintf("state of server %d", i), sound: sound}
	at := func(f func(context.Context, string) error) func(context.Context) error {
		return func(ctx context.Context) error { return f(ctx, s.Addr()) }
	}
	for _, st := range states.All {
		most := 3000 * ms
		if st.Code == "BUSY" {
			most = 1000 * ms // it takes a processor
		}
		v.faults = append(v.faults, fault{st.Name, 1, 50 * ms, most, s.breakBy(at(st.Begin)), s.mendBy(at(st.End))})
	}
	none := func(context.Context) error { return nil }
	for _, moment := range []struct {
		name  string
		odds  int
		begin func(context.Context, *client.Client) (int, error)
	}{
		{"server's connections killed", 1, hangUp("normal")},
		{"server's subscriptions killed", 1, hangUp("pubsub")},
		{"server lost a fencing counter", 1, evict(":meta")},
		// Only one of the servers has a line at a time, and only while somebody waits.
		{"server lost the order of a line", 4, evict(":queue")},
		{"server lost the tickets of a line", 4, evict(":tickets")},
	} {
		v.faults = append(v.faults, fault{moment.name, moment.odds, 0, 0, s.ifUp(moment.begin), none})
	}
	return v
}

// ifUp returns a fault that happens if nobody has broken the server, and that is one if it
// has done something.
func (s *server) ifUp(f func(context.Context, *client.Client) (int, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		if !s.mu.TryLock() {
			return errNotYet
		}
		defer s.mu.Unlock()
		return states.Do(s.Addr(), "", func(c *client.Client) error {
			n, err := f(ctx, c)
			if err == nil && n == 0 {
				return errNotYet
			}
			return err
		})
	}
}

// hangUp ends the connections of a type, but its own.
func hangUp(kind string) func(context.Context, *client.Client) (int, error) {
	return func(ctx context.Context, c *client.Client) (int, error) {
		return c.Do(ctx, "CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes").Int()
	}
}

// evicting deletes one of the keys that end as ARGV[1] says, any. A
// counter may go once the clock, which is the floor of all tokens, has passed it by the
// second that a proposal may be behind.
var evicting = client.NewScript(`
local time, found = redis.call('TIME'), {}
for _, key in ipairs(redis.call('KEYS', '*' .. ARGV[1])) do
  local token = ARGV[1] == ':meta' and tonumber(redis.call('HGET', key, 'token') or '0') or 0
  if token < (time[1] - 1) * 1000000 + time[2] then table.insert(found, key) end
end
if #found == 0 then return 0 end
return redis.call('DEL', found[time[2] % #found + 1])`)

// evict deletes a key, as soon as there is one.
func evict(suffix string) func(context.Context, *client.Client) (int, error) {
	return func(ctx context.Context, c *client.Client) (n int, err error) {
		for range 25 {
			n, err = evicting.Run(ctx, c, nil, suffix).Int()
			if err != nil || n > 0 || !sleep(ctx, 20*ms) {
				break
			}
		}
		return n, err
	}
}
