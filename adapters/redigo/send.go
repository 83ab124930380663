package redigo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/redlatch/redlatch/core"
)

// send sends a command, and again while the connection was to blame: one that had been
// broken in the pool, or led to a server that has become a replica, says nothing about
// the server that a new connection reaches. That ends with the connections that were
// idle and one more, or with ctx.
func (s *Scripter) send(ctx context.Context, command string, wire []any) (any, error) {
	for left := s.pool.IdleCount() + 1; ; left-- {
		reply, again, err := s.sendOnce(ctx, command, wire)
		if !again || left == 0 || ctx.Err() != nil {
			return reply, err
		}
	}
}

// sendOnce sends a command on one connection; again says that the connection was to blame.
func (s *Scripter) sendOnce(ctx context.Context, command string, wire []any) (reply any, again bool, err error) {
	conn, err := s.pool.GetContext(ctx)
	if err != nil {
		return nil, false, closed(err)
	}
	// A broken connection, which has an error, is closed here and not put back.
	defer func() { _ = conn.Close() }()
	reply, err = redis.DoContext(conn, ctx, command, wire...)
	var refused redis.Error
	if errors.As(err, &refused) {
		again = strings.HasPrefix(string(refused), "READONLY ")
		if again {
			spoil(conn)
		}
		return nil, again, err
	}
	var silent net.Error
	again = conn.Err() != nil && !(errors.As(err, &silent) && silent.Timeout())
	return reply, again, err
}

// spoil breaks a connection, so that the pool does not keep it: a receive whose time is
// up sends nothing and does not wait.
func spoil(conn redis.Conn) {
	past, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	defer cancel()
	_, _ = redis.ReceiveContext(conn, past)
}

// closedText is what a pool says once it has been closed. redigo has no type for it.
var closedText = func() string {
	var p redis.Pool
	_ = p.Close()
	return p.Get().Err().Error()
}()

// closed marks the error of a pool that has been closed.
func closed(err error) error {
	if err.Error() == closedText {
		return fmt.Errorf("%w: %w", core.ErrClosed, err)
	}
	return err
}
