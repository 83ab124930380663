package goredis

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/core"
)

// A Client is what this package needs of a go-redis client. *redis.Client,
// *redis.ClusterClient and redis.UniversalClient have it.
type Client interface {
	Process(ctx context.Context, cmd redis.Cmder) error
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// A Scripter runs scripts on the deployment that a go-redis client is connected
// to. It is safe for concurrent use.
type Scripter struct{ client Client }

var (
	_ core.Scripter   = (*Scripter)(nil)
	_ core.Subscriber = (*Scripter)(nil)
	_ core.Checker    = (*Scripter)(nil)
	_ core.Addresser  = (*Scripter)(nil)
)

// New returns a Scripter on client, which stays the caller's: the Scripter never
// closes it. Check says whether the client can serve.
func New(client Client) *Scripter { return &Scripter{client: client} }

// EvalSha implements [core.Scripter].
func (s *Scripter) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	return s.run(ctx, "evalsha", sha1, keys, args)
}

// Eval implements [core.Scripter].
func (s *Scripter) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return s.run(ctx, "eval", script(source), keys, args)
}

// Check implements [core.Checker].
func (s *Scripter) Check() error {
	if v := reflect.ValueOf(s.client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("%w: goredis: the client is nil", core.ErrInvalid)
	}
	switch c := s.client.(type) {
	case *redis.Ring:
		return fmt.Errorf("%w: goredis: a *redis.Ring moves names to another shard when a shard goes down, "+
			"so two holders are possible; give redlatch one client per shard", core.ErrInvalid)
	case *redis.ClusterClient:
		// ClusterSlots set means Sentinel or a hand-made map: no READONLY is sent then,
		// and EVALSHA, no read-only command, goes to the master.
		if o := c.Options(); o.ReadOnly && o.ClusterSlots == nil {
			return fmt.Errorf("%w: goredis: a *redis.ClusterClient with ReadOnly, RouteByLatency or RouteRandomly lets a "+
				"replica run scripts after a failover; use a client without them", core.ErrInvalid)
		}
	}
	return nil
}

// run sends one command.
func (s *Scripter) run(ctx context.Context, command any, script any, keys, args []string) ([]int64, error) {
	wire := make([]any, 3, 3+len(keys)+len(args))
	wire[0], wire[1], wire[2] = command, script, len(keys)
	for _, k := range keys { // strings, though pointers cost less: hooks print what they see
		wire = append(wire, k)
	}
	for _, a := range args {
		wire = append(wire, a)
	}
	reply, err := s.send(ctx, wire)
	if err != nil {
		return nil, replyError(err)
	}
	return integers(reply)
}

// replyError marks a missing script, a missing password and a nil reply; all else stays
// as it is.
func replyError(err error) error {
	var refused redis.Error
	text := ""
	if errors.As(err, &refused) {
		text = refused.Error()
	}
	switch { // not redis.HasErrorPrefix, which looks behind "ERR " too
	case errors.Is(err, redis.Nil):
		return errors.New("redlatch: goredis: the script answered nil, want an array of integers")
	case strings.HasPrefix(text, "NOSCRIPT "):
		return fmt.Errorf("%w: %w", core.ErrNoScript, err)
	case strings.HasPrefix(text, "ERR Protocol error: unauthenticated "):
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
		return nil, fmt.Errorf("redlatch: goredis: the script answered %T, want an array of integers", reply)
	}
	ints := make([]int64, len(array))
	for i, v := range array {
		if ints[i], ok = v.(int64); !ok {
			return nil, fmt.Errorf("redlatch: goredis: the script answered %T as element %d, want an integer", v, i)
		}
	}
	return ints, nil
}
