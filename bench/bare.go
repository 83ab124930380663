package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// What everybody writes who needs a lock and has only a client: SET NX PX, and a script
// that deletes the key if it is still the caller's. The owner is the same at each call:
// the bare clients are there to show what the two commands cost, nothing else.
const (
	deleteSource = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end`
	bareOwner    = "0123456789abcdef0123456789abcdef"
	bareExpiry   = 30 * time.Second
)

var errTaken = errors.New("bench: the key is taken")

// heldThen is what the bare clients' Hold does between their two calls.
func heldThen(taken bool, err error, fn func()) error {
	switch {
	case err != nil:
		return err
	case taken:
		return errTaken
	case fn != nil:
		fn()
	}
	return nil
}

// deleted checks the answer to the script.
func deleted(n int64, err error) error {
	if err == nil && n != 1 {
		err = fmt.Errorf("bench: the script deleted %d keys", n)
	}
	return err
}

type bareGoRedis struct {
	client *goredis.Client
	del    *goredis.Script
}

func dialBareGoRedis(addrs []string, count *Counter) (Client, error) {
	return &bareGoRedis{newGoRedis(addrs[0], count), goredis.NewScript(deleteSource)}, nil
}

func (b *bareGoRedis) Hold(ctx context.Context, name string, fn func()) error {
	ok, err := b.client.SetNX(ctx, name, bareOwner, bareExpiry).Result()
	if err := heldThen(!ok, err, fn); err != nil {
		return err
	}
	return deleted(b.del.Run(ctx, b.client, []string{name}, bareOwner).Int64())
}

func (b *bareGoRedis) Close() error { return b.client.Close() }

// dialApart is the bare client whose calls run in goroutines of their own, as those of
// redlatch do so that their caller can leave them: what that alone costs.
func dialApart(addrs []string, count *Counter) (Client, error) {
	client := newGoRedis(addrs[0], count)
	client.AddHook(apart{})
	return &bareGoRedis{client, goredis.NewScript(deleteSource)}, nil
}

// apart is a hook that runs each command in a goroutine.
type apart struct{}

func (apart) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (apart) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (apart) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		done := make(chan error, 1)
		go func() { done <- next(ctx, cmd) }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type bareRedigo struct {
	pool *redigo.Pool
	del  *redigo.Script
}

func dialBareRedigo(addrs []string, count *Counter) (Client, error) {
	return &bareRedigo{newRedigo(addrs[0], count), redigo.NewScript(1, deleteSource)}, nil
}

func (b *bareRedigo) Hold(ctx context.Context, name string, fn func()) error {
	reply, err := b.do(ctx, func(conn redigo.Conn) (any, error) {
		return redigo.DoContext(conn, ctx, "SET", name, bareOwner, "NX", "PX", bareExpiry.Milliseconds())
	})
	if err := heldThen(reply == nil, err, fn); err != nil {
		return err
	}
	return deleted(redigo.Int64(b.do(ctx, func(conn redigo.Conn) (any, error) {
		return b.del.DoContext(ctx, conn, name, bareOwner)
	})))
}

func (b *bareRedigo) do(ctx context.Context, call func(redigo.Conn) (any, error)) (any, error) {
	conn, err := b.pool.GetContext(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return call(conn)
}

func (b *bareRedigo) Close() error { return b.pool.Close() }

type bareRueidis struct {
	client rueidis.Client
	del    *rueidis.Lua
}

func dialBareRueidis(addrs []string, count *Counter) (Client, error) {
	c, err := newRueidis(addrs[0], count)
	if err != nil {
		return nil, err
	}
	return &bareRueidis{c, rueidis.NewLuaScript(deleteSource)}, nil
}

func (b *bareRueidis) Hold(ctx context.Context, name string, fn func()) error {
	err := b.client.Do(ctx, b.client.B().Set().Key(name).Value(bareOwner).Nx().Px(bareExpiry).Build()).Error()
	taken := rueidis.IsRedisNil(err)
	if taken {
		err = nil
	}
	if err := heldThen(taken, err, fn); err != nil {
		return err
	}
	return deleted(b.del.Exec(ctx, b.client, []string{name}, []string{bareOwner}).AsInt64())
}

func (b *bareRueidis) Close() error { b.client.Close(); return nil }
