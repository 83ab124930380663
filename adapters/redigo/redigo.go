package redigo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gomodule/redigo/redis"

	"github.com/redlatch/redlatch/core"
)

// A Scripter runs scripts on the server that a redigo pool is connected to. It is
// safe for concurrent use.
type Scripter struct {
	pool *redis.Pool
	addr string
}

var (
	_ core.Scripter   = (*Scripter)(nil)
	_ core.Subscriber = (*Scripter)(nil)
	_ core.Checker    = (*Scripter)(nil)
	_ core.Addresser  = (*Scripter)(nil)
)

// New returns a Scripter on pool, which stays the caller's: the Scripter never
// closes it. Calls take a connection from the pool and put it back; a
// subscription has one of its own, made by the pool's dial function and not
// counted by its MaxActive. Check says whether the pool can serve.
func New(pool *redis.Pool) *Scripter { return &Scripter{pool: pool} }

// NewAt is New for a pool whose server is at addr, which errors then name: a pool does
// not tell where it dials.
func NewAt(pool *redis.Pool, addr string) *Scripter { return &Scripter{pool: pool, addr: addr} }

// Addr implements [core.Addresser].
func (s *Scripter) Addr() string { return s.addr }

// EvalSha implements [core.Scripter].
func (s *Scripter) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	return s.run(ctx, "EVALSHA", sha1, keys, args)
}

// Eval implements [core.Scripter].
func (s *Scripter) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return s.run(ctx, "EVAL", source, keys, args)
}

// Check implements [core.Checker].
func (s *Scripter) Check() error {
	switch {
	case s.pool == nil:
		return fmt.Errorf("%w: redigo: the pool is nil", core.ErrInvalid)
	case s.pool.DialContext == nil && s.pool.Dial == nil:
		return fmt.Errorf("%w: redigo: the pool has neither DialContext nor Dial", core.ErrInvalid)
	}
	return nil
}

// run sends one command. The strings go out in a slice of their own, since at the
// end of ctx the client may still be writing them when run returns.
func (s *Scripter) run(ctx context.Context, command, script string, keys, args []string) ([]int64, error) {
	wire := make([]any, 2, 2+len(keys)+len(args))
	wire[0], wire[1] = script, len(keys)
	for _, k := range keys {
		wire = append(wire, k)
	}
	for _, a := range args {
		wire = append(wire, a)
	}
	reply, err := s.send(ctx, command, wire)
	if err != nil {
		return nil, replyError(err)
	}
	return integers(reply)
}

// replyError marks a missing script, and a missing password as what it is; all else
// stays as it is.
func replyError(err error) error {
	var refused redis.Error
	switch errors.As(err, &refused); {
	case strings.HasPrefix(string(refused), "NOSCRIPT "):
		return fmt.Errorf("%w: %w", core.ErrNoScript, err)
	case strings.HasPrefix(string(refused), "ERR Protocol error: unauthenticated "):
		// Without a password a server does not read a command of this length.
		return fmt.Errorf("NOAUTH Authentication required: %w", err)
	}
	return err
}

// integers takes only what RESP sent as an array of integers. The client's own
// conversions would parse strings.
func integers(reply any) ([]int64, error) {
	array, ok := reply.([]any)
	if !ok {
		return nil, fmt.Errorf("redlatch: redigo: the script answered %s, want an array of integers", kind(reply))
	}
	ints := make([]int64, len(array))
	for i, v := range array {
		if ints[i], ok = v.(int64); !ok {
			return nil, fmt.Errorf("redlatch: redigo: the script answered %s as element %d, want an integer", kind(v), i)
		}
	}
	return ints, nil
}

// kind names a reply that is not what it should be.
func kind(reply any) string {
	switch reply.(type) {
	case nil:
		return "nil"
	case []any:
		return "an array"
	case []byte, string:
		return "a string"
	case int64:
		return "an integer"
	}
	return fmt.Sprintf("%T", reply)
}
