package goredis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/core"
)

// send sends a command, and again while the pool's connections are to blame: those that
// had been broken, or lead to a server that has become a replica, say nothing about the
// server that a new one reaches. The client itself tries MaxRetries connections more, and
// where it cannot look at the socket, as with TLS, finds out only once it has sent.
// That ends with the connections that were idle and one more, or with ctx. A client that
// says twice that it is closed is closed; a cluster client that has dropped a node may say
// so once.
func (s *Scripter) send(ctx context.Context, wire []any) (any, error) {
	closed := false
	for left := math.MaxInt; ; {
		cmd := redis.NewCmd(ctx, wire...)
		cmd.SetFirstKeyPos(3)
		cmd.SetStepCount(1) // known here, so that a cluster client does not ask the server's COMMAND for it
		_ = s.client.Process(ctx, cmd)
		reply, err := cmd.Result()
		switch {
		case err == nil:
			return reply, nil
		case errors.Is(err, redis.ErrClosed) && closed:
			return nil, fmt.Errorf("%w: %w", core.ErrClosed, err)
		case errors.Is(err, redis.ErrClosed):
			closed = true
		case unfit(err) && left > 0 && ctx.Err() == nil:
			left = min(left, s.idle()+1) - 1
		default:
			return reply, err
		}
	}
}

// idle is how many connections the pool has that are not in use.
func (s *Scripter) idle() int {
	pool, ok := s.client.(interface{ PoolStats() *redis.PoolStats })
	if !ok {
		return 0
	}
	return int(pool.PoolStats().IdleConns)
}

// unfit says whether err is that of the connection, and neither the server's word, its
// silence, nor that it cannot be reached.
func unfit(err error) bool {
	var failed *net.OpError
	return redis.IsReadOnlyError(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &failed) && failed.Op != "dial" && !failed.Timeout()
}

// Addr implements [core.Addresser]. The client of a Sentinel deployment does not tell where
// it is, only that it is one.
func (s *Scripter) Addr() string {
	switch c := s.client.(type) {
	case *redis.Client:
		return c.Options().Addr
	case *redis.ClusterClient:
		return strings.Join(c.Options().Addrs, ",")
	}
	return ""
}
