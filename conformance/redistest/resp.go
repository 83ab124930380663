package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// A serverError is a server's error reply, its code first.
type serverError string

func (e serverError) Error() string { return string(e) }

// How long an answer may take: long enough for a machine that stands still for some
// seconds, or, where the server may hang and is asked again anyway, retried.
const (
	answered = 10 * time.Second
	retried  = 2 * time.Second
)

// call sends one command on a connection of its own and returns the reply: a
// string, an int64, a []any, or nil. It gives up when ctx ends, or after 10 s.
func call(ctx context.Context, addr string, args ...string) (any, error) {
	return callWithin(ctx, answered, addr, args...)
}

// callWithin is call with another limit.
func callWithin(ctx context.Context, limit time.Duration, addr string, args ...string) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", addr, args[0], err)
	}
	reply, err := readReply(bufio.NewReader(conn))
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", addr, args[0], err)
	}
	return reply, nil
}

func readReply(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return nil, errors.New("empty reply")
	}
	kind, rest := line[0], line[1:]
	if kind == '+' {
		return rest, nil
	}
	if kind == '-' {
		return nil, serverError(rest)
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reply %q: %w", line, err)
	}
	switch {
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		data := make([]byte, n+2)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, err
		}
		return string(data[:n]), nil
	case kind == '*':
		items := make([]any, n)
		for i := range items {
			if items[i], err = readReply(r); err != nil {
				return nil, err
			}
		}
		return items, nil
	}
	return nil, fmt.Errorf("reply %q is of no known type", line)
}

// info returns one section of INFO as a map.
func info(ctx context.Context, limit time.Duration, addr, section string) (map[string]string, error) {
	reply, err := callWithin(ctx, limit, addr, "INFO", section)
	if err != nil {
		return nil, err
	}
	return parseInfo(reply), nil
}

// parseInfo reads the lines name:value of a reply.
func parseInfo(reply any) map[string]string {
	text, _ := reply.(string)
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// version returns what the server at addr calls itself: "redis 7.0.15".
func version(ctx context.Context, addr string) (string, error) {
	fields, err := info(ctx, answered, addr, "server")
	if err != nil {
		return "", err
	}
	if v := fields["valkey_version"]; v != "" {
		return "valkey " + v, nil
	}
	return "redis " + fields["redis_version"], nil
}

// until calls try, every 10 ms at first and then every 50 ms, until it returns
// nil or ctx ends; then it returns try's last error.
func until(ctx context.Context, try func() error) error {
	for wait := 10 * time.Millisecond; ; wait = 50 * time.Millisecond {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(wait):
		}
	}
}
