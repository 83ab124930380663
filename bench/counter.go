package bench

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"time"
)

// A Counter counts the commands that clients send, by reading the requests in what
// they write to their connections. A server's own statistics cannot tell: they count
// the calls that scripts make inside as well. It is safe for concurrent use; a nil
// Counter counts nothing.
//
// What keeps connections and subscriptions up is counted apart: it goes with the number
// of connections and the time, not with the locks.
type Counter struct{ commands, upkeep atomic.Int64 }

// Commands returns the number of commands so far, but for the upkeep.
func (c *Counter) Commands() int64 { return c.commands.Load() }

// Upkeep returns the number of commands so far that set connections and subscriptions
// up or find out whether they are alive.
func (c *Counter) Upkeep() int64 { return c.upkeep.Load() }

var upkeep = [][]byte{[]byte("PING"), []byte("SUBSCRIBE"), []byte("UNSUBSCRIBE"), []byte("HELLO"), []byte("CLIENT")}

func (c *Counter) add(command []byte) {
	for _, u := range upkeep {
		if bytes.EqualFold(u, command) {
			c.upkeep.Add(1)
			return
		}
	}
	c.commands.Add(1)
}

// dialTimeout is for servers on the same machine.
const dialTimeout = 5 * time.Second

// dial connects to addr and counts what is written there.
func (c *Counter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 5 * time.Minute}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil || c == nil {
		return conn, err
	}
	return &countedConn{TCPConn: conn.(*net.TCPConn), scan: scanner{seen: c.add}}, nil
}

// countedConn embeds the connection's own type, since go-redis asks it for more than
// net.Conn has. Clients write to a connection from one goroutine at a time.
type countedConn struct {
	*net.TCPConn
	scan scanner
}

// Write counts first: once the bytes are out, the answer may be faster.
func (c *countedConn) Write(b []byte) (int, error) {
	c.scan.feed(b)
	return c.TCPConn.Write(b)
}

// scanner finds the requests in a stream: *<n>\r\n, then n times $<len>\r\n<bytes>\r\n.
type scanner struct {
	seen func(command []byte) // called for each request; must not keep command

	number  int    // in the line that is being read
	array   bool   // the line is an array's head
	args    int    // of the request still to come
	skip    int    // bytes of an argument still to come
	naming  bool   // that argument is the command
	command []byte // as far as it has come
}

// feed takes the next piece.
func (s *scanner) feed(b []byte) {
	for i := 0; i < len(b); i++ {
		if s.skip > 0 {
			step := min(s.skip, len(b)-i)
			if s.naming {
				s.command = append(s.command, b[i:i+step]...)
			}
			s.skip -= step
			i += step - 1
			if s.skip == 0 && s.naming {
				s.seen(s.command[:len(s.command)-2])
				s.naming, s.command = false, s.command[:0]
			}
			continue
		}
		switch c := b[i]; {
		case c == '*' || c == '$':
			s.array, s.number = c == '*', 0
		case c >= '0' && c <= '9':
			s.number = s.number*10 + int(c-'0')
		case c == '\n' && s.array:
			s.args, s.naming = s.number, true
		case c == '\n' && s.args > 0:
			s.args--
			s.skip = s.number + 2
		}
	}
}
