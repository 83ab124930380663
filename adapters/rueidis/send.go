package rueidis

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/redis/rueidis"
)

// spares is how many more connections a call may be sent over.
const spares = 4

// send sends the command that build makes. Where the connection was to blame, since it had
// been broken or leads to a server that has become a replica, it sends the command again
// over connections of the client's blocking pool, until one serves or is new. That pool
// is asked as well before a client counts as closed: one that follows a failover closes
// connections, too.
//
// build copies keys and arguments, which the client may still send after ctx has ended.
// The command is not marked as read-only, so the client sends it to the primary and
// does not send it twice.
func (s *Scripter) send(ctx context.Context, build func(rueidis.Builder) rueidis.Completed) rueidis.RedisResult {
	result := s.client.Do(ctx, build(s.client.B()))
	for left := spares; left > 0 && ctx.Err() == nil && unfit(result.Error()); left-- {
		result = s.spare(ctx, build)
	}
	return result
}

// spare sends the command over a connection of the blocking pool, which does not get it
// back: the client would have it unsubscribe first, and panics where a server that is busy,
// or wants another password by now, refuses that.
func (s *Scripter) spare(ctx context.Context, build func(rueidis.Builder) rueidis.Completed) rueidis.RedisResult {
	conn, release := s.client.Dedicate()
	defer release()
	defer conn.Close()
	return conn.Do(ctx, build(conn.B()))
}

// unfit says whether err is that of the connection, and neither the server's word, its
// silence, nor that it cannot be reached.
func unfit(err error) bool {
	if refused, ok := rueidis.IsRedisErr(err); ok {
		return strings.HasPrefix(refused.Error(), "READONLY ")
	}
	var failed *net.OpError
	return errors.Is(err, rueidis.ErrClosing) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &failed) && failed.Op != "dial" && !failed.Timeout()
}

// Addr implements [core.Addresser]: the address of the server, of the primary of the moment,
// or of all servers of a cluster.
func (s *Scripter) Addr() string {
	return strings.Join(slices.Sorted(maps.Keys(s.client.Nodes())), ",")
}
