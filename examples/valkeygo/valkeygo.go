// Package valkeygo binds a github.com/valkey-io/valkey-go client to redlatch. It is an
// example of an adapter that is not part of redlatch, written along docs/adapters.md.
package valkeygo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/valkey-io/valkey-go"

	"github.com/redlatch/redlatch/core"
)

// A Scripter runs scripts on the deployment that a valkey-go client is connected to.
type Scripter struct{ client valkey.Client }

var (
	_ core.Scripter   = (*Scripter)(nil)
	_ core.Subscriber = (*Scripter)(nil)
	_ core.Checker    = (*Scripter)(nil)
	_ core.Addresser  = (*Scripter)(nil)
)

// New returns a Scripter on client, which stays the caller's.
func New(client valkey.Client) *Scripter { return &Scripter{client} }

// Check implements [core.Checker].
func (s *Scripter) Check() error {
	if s.client == nil {
		return errors.New("valkeygo: the client is nil")
	}
	return nil
}

// Addr implements [core.Addresser].
func (s *Scripter) Addr() string {
	return strings.Join(slices.Sorted(maps.Keys(s.client.Nodes())), ",")
}

// EvalSha implements [core.Scripter].
func (s *Scripter) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	return s.run(ctx, "EVALSHA", sha1, keys, args)
}

// Eval implements [core.Scripter].
func (s *Scripter) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return s.run(ctx, "EVAL", source, keys, args)
}

func (s *Scripter) run(ctx context.Context, command, script string, keys, args []string) ([]int64, error) {
	var result valkey.ValkeyResult
	for range connections {
		cmd := s.client.B().Arbitrary(command, script, strconv.Itoa(len(keys))).Keys(keys...).Args(args...).Build()
		if result = s.client.Do(ctx, cmd); ctx.Err() != nil || !broken(result.Error()) {
			break
		}
	}
	reply, err := result.ToMessage()
	var refused *valkey.ValkeyError
	switch {
	case err == nil:
		return integers(&reply)
	case errors.Is(err, valkey.ErrClosing):
		return nil, fmt.Errorf("%w: %w", core.ErrClosed, err)
	case !errors.As(err, &refused):
		return nil, err // the connection, or ctx
	case refused.IsNil():
		return nil, errors.New("valkeygo: the script answered nil, want an array of integers")
	case refused.IsNoScript():
		return nil, fmt.Errorf("%w: %w", core.ErrNoScript, err)
	}
	if text, _ := reply.ToString(); text == "ERR "+refused.Error() {
		err = fmt.Errorf("ERR %w", err) // the client has cut it off
	}
	return nil, err
}

// connections is how many a call is sent over at most: one more than what
// ClientOption.PipelineMultiplex makes by default, each of which may have been closed.
const connections = 5

// broken says whether err is only that of a connection. ErrClosing is at first: a client that
// follows a failover closes connections, too.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, valkey.ErrClosing)
}

// integers takes an array of integers and nothing else: the client's own conversions
// parse strings.
func integers(reply *valkey.ValkeyMessage) ([]int64, error) {
	array, err := reply.ToArray()
	result := make([]int64, len(array))
	for i := 0; err == nil && i < len(array); i++ {
		result[i], err = array[i].ToInt64()
	}
	if err != nil {
		return nil, fmt.Errorf("valkeygo: the script answered %s, want an array of integers: %w", reply, err)
	}
	return result, nil
}

// Subscribe implements [core.Subscriber]. The connection is its own, and closed at the
// end: a dedicated one does not come back by itself.
func (s *Scripter) Subscribe(ctx context.Context, channel string, ready func(), deliver func(payload string)) error {
	conn, release := s.client.Dedicate()
	defer release()
	defer conn.Close()
	confirmed := valkey.WithOnSubscriptionHook(ctx, func(valkey.PubSubSubscription) { ready() })
	return conn.Receive(confirmed, conn.B().Subscribe().Channel(channel).Build(), func(m valkey.PubSubMessage) { deliver(m.Message) })
}
