// Package states makes real servers refuse for a while: in the ways in which a server does
// that is up and keeps its data.
package states

import (
	"context"
	"errors"
	"strings"
	"time"

	client "github.com/redis/go-redis/v9"
)

// A State is one in which a server at an address refuses what the scripts of locks do.
type State struct {
	Name  string
	Code  string // what its answers begin with
	Begin func(ctx context.Context, addr string) error
	End   func(ctx context.Context, addr string) error
}

// Args let a server, which must have an append-only file, get into every state.
var Args = []string{"--enable-protected-configs", "local"}

// All are the states. Each is ended by its End, and by a restart.
var All = []State{
	{"server out of memory", "OOM", set("maxmemory", "1"), set("maxmemory", "0")},
	{"server unable to save", "MISCONF", stopSaving, goOnSaving},
	{"server without its replicas", "NOREPLICAS", set("min-replicas-to-write", "1"), set("min-replicas-to-write", "0")},
	// Of a server that does not answer: it keeps its data.
	{"server demoted to a replica", "READONLY", send("REPLICAOF", "127.0.0.1", "1"), send("REPLICAOF", "NO", "ONE")},
	{"server's password changed", "NOAUTH", lockOut, letIn},
	{"server busy with a script", "BUSY", occupy, release},
}

// Do calls f with a client of its own.
func Do(addr, password string, f func(*client.Client) error) error {
	c := client.NewClient(&client.Options{Addr: addr, Password: password, ReadTimeout: 10 * time.Second, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	return f(c)
}

func send(args ...any) func(context.Context, string) error {
	return func(ctx context.Context, addr string) error {
		return Do(addr, "", func(c *client.Client) error { return c.Do(ctx, args...).Err() })
	}
}

func set(name, value string) func(context.Context, string) error {
	return send("CONFIG", "SET", name, value)
}

// otherPassword is one that nobody has.
const otherPassword = "rotated"

// lockOut changes the password, and ends the connections that have the old one.
func lockOut(ctx context.Context, addr string) error {
	return Do(addr, "", func(c *client.Client) error {
		if err := c.Do(ctx, "ACL", "SETUSER", "default", "resetpass", ">"+otherPassword).Err(); err != nil {
			return err
		}
		return c.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err()
	})
}

func letIn(ctx context.Context, addr string) error {
	return Do(addr, otherPassword, func(c *client.Client) error { return c.Do(ctx, "ACL", "SETUSER", "default", "nopass").Err() })
}

// stopSaving has the server save to a name that is a directory's, its append-only files'.
// From the failure on it refuses to write.
func stopSaving(ctx context.Context, addr string) error {
	return save(ctx, addr, "err", "appendonlydir")
}

// goOnSaving ends that with a save that succeeds.
func goOnSaving(ctx context.Context, addr string) error {
	if err := save(ctx, addr, "ok", "dump.rdb"); err != nil {
		return err
	}
	return set("save", "")(ctx, addr)
}

// save saves to the file and waits until that has ended as it should.
func save(ctx context.Context, addr, status, file string) error {
	return Do(addr, "", func(c *client.Client) error {
		for _, setting := range [][2]string{{"save", "3600 1"}, {"dbfilename", file}} {
			if err := c.ConfigSet(ctx, setting[0], setting[1]).Err(); err != nil {
				return err
			}
		}
		if err := c.Do(ctx, "BGSAVE", "SCHEDULE").Err(); err != nil {
			return err
		}
		return soon(ctx, func() (bool, error) {
			info, err := c.Info(ctx, "persistence").Result()
			return strings.Contains(info, "rdb_last_bgsave_status:"+status), err
		})
	})
}

// occupy has the server run a script that does not end.
func occupy(ctx context.Context, addr string) error {
	if err := set("lua-time-limit", "50")(ctx, addr); err != nil {
		return err
	}
	go func() {
		// Its answer says that it was killed.
		_ = Do(addr, "", func(c *client.Client) error {
			return c.Eval(context.WithoutCancel(ctx), "while true do end", nil).Err()
		})
	}()
	return Do(addr, "", func(c *client.Client) error {
		return soon(ctx, func() (bool, error) { return client.HasErrorPrefix(c.Ping(ctx).Err(), "BUSY "), nil })
	})
}

func release(ctx context.Context, addr string) error {
	return Do(addr, "", func(c *client.Client) error {
		if err := c.Do(ctx, "SCRIPT", "KILL").Err(); err != nil {
			return err
		}
		return soon(ctx, func() (bool, error) { return c.Ping(ctx).Err() == nil, nil })
	})
}

// soon asks until done says so, for 10 s.
func soon(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		if is, err := done(); is || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("states: the server does not do as it was told")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
