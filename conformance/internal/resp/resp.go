// Package resp is a whole adapter in one small file, down to the protocol: the
// worked example of docs/adapters.md, and what the suite itself is tested with.
package resp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redlatch/redlatch/core"
)

var _ core.Scripter = (*Scripter)(nil)
var _ core.Subscriber = (*Scripter)(nil)

// A Scripter runs scripts on one server. It opens a connection for each call; the
// client that an adapter is usually written for has a pool instead.
type Scripter struct{ addr string }

// New returns a Scripter for the server at addr.
func New(addr string) *Scripter { return &Scripter{addr} }

// EvalSha implements [core.Scripter].
func (s *Scripter) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	return s.run(ctx, slices.Concat([]string{"EVALSHA", sha1, strconv.Itoa(len(keys))}, keys, args))
}

// Eval implements [core.Scripter].
func (s *Scripter) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return s.run(ctx, slices.Concat([]string{"EVAL", source, strconv.Itoa(len(keys))}, keys, args))
}

func (s *Scripter) run(ctx context.Context, command []string) ([]int64, error) {
	c, err := dial(ctx, s.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	// A context does not end a read, but a deadline in the past does.
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	reply, err := c.do(command)
	if err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	return integers(reply)
}

// integers is the heart of every adapter: an array of integers is the result,
// and whatever else came is an error that names it.
func integers(reply any) ([]int64, error) {
	if e, ok := reply.(serverError); ok && strings.HasPrefix(string(e), "NOSCRIPT ") {
		return nil, fmt.Errorf("%w: %w", core.ErrNoScript, e)
	} else if ok {
		return nil, e
	}
	array, ok := reply.([]any)
	result := make([]int64, len(array))
	for i := 0; ok && i < len(array); i++ {
		result[i], ok = array[i].(int64)
	}
	if !ok {
		return nil, fmt.Errorf("resp: the script answered %#v, want an array of integers", reply)
	}
	return result, nil
}

// Subscribe implements [core.Subscriber].
func (s *Scripter) Subscribe(ctx context.Context, channel string, ready func(), deliver func(payload string)) error {
	c, err := dial(ctx, s.addr)
	if err != nil {
		return errors.Join(ctx.Err(), err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	for reply, err := c.do([]string{"SUBSCRIBE", channel}); ; reply, err = c.read() {
		if message, _ := reply.([]any); err != nil {
			return errors.Join(ctx.Err(), err)
		} else if len(message) == 3 && message[0] == "subscribe" {
			ready()
		} else if len(message) == 3 && message[0] == "message" {
			deliver(message[2].(string))
		} else {
			return fmt.Errorf("resp: SUBSCRIBE was answered with %#v", reply)
		}
	}
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

type serverError string // an error reply, as the server sent it

func (e serverError) Error() string { return string(e) }

func dial(ctx context.Context, addr string) (conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	return conn{c, bufio.NewReader(c)}, err
}

func (c conn) do(words []string) (any, error) {
	out := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, word := range words {
		out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := c.Write(out); err != nil {
		return nil, err
	}
	return c.read()
}

// read returns nil, a string, an int64, a serverError or a []any of these.
func (c conn) read() (any, error) {
	line, err := c.in.ReadString('\n')
	if err != nil || len(line) < 3 {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	kind, line := line[0], line[1:len(line)-2]
	n, err := strconv.ParseInt(line, 10, 64)
	switch {
	case kind == '+':
		return line, nil
	case kind == '-':
		return serverError(line), nil
	case err != nil || kind == ':':
		return n, err
	case n < 0: // $-1 or *-1
		return nil, nil
	case kind == '$':
		data := make([]byte, n+2)
		_, err = io.ReadFull(c.in, data)
		return string(data[:n]), err
	}
	array := make([]any, n)
	for i := range array {
		if array[i], err = c.read(); err != nil {
			return nil, err
		}
	}
	return array, nil
}
