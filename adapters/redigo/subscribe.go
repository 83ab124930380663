package redigo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"
)

// A subscribed connection is asked for a sign of life every probe. Without one
// for silence it counts as gone.
const (
	probe   = 2 * time.Second
	silence = 5 * time.Second
)

// Subscribe implements [core.Subscriber]. A silent connection is given up after
// five seconds. While the connection is being made, the end of ctx is noticed as
// soon as the pool's dial function does; after that at once.
func (s *Scripter) Subscribe(ctx context.Context, channel string, ready func(), deliver func(payload string)) error {
	// Not a pooled connection: it would be missing there for as long as somebody
	// waits, and Close of a pooled one waits for the server's answer.
	conn, err := s.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = conn.Close()
	})
	pinged := make(chan struct{})
	sub := redis.PubSubConn{Conn: conn}
	if err = sub.Subscribe(channel); err == nil {
		go func() {
			defer close(pinged)
			ping(inner, sub)
		}()
		err = receive(sub, channel, ready, deliver)
	} else {
		close(pinged)
	}
	cancel()
	if stop() {
		_ = conn.Close()
	} else {
		<-closed
	}
	<-pinged
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (s *Scripter) dial(ctx context.Context) (redis.Conn, error) {
	if s.pool.DialContext != nil {
		return s.pool.DialContext(ctx)
	}
	return s.pool.Dial()
}

// receive returns the first error.
func receive(sub redis.PubSubConn, channel string, ready func(), deliver func(string)) error {
	for confirmed := false; ; {
		switch m := sub.ReceiveWithTimeout(silence).(type) {
		case error:
			var refused redis.Error
			if confirmed && errors.As(m, &refused) {
				continue // a user who may not PING; the connection lives
			}
			return m
		case redis.Subscription:
			if m.Kind != "subscribe" || confirmed {
				return fmt.Errorf("redlatch: redigo: the subscription to %q ended (%s)", channel, m.Kind)
			}
			confirmed = true
			ready()
		case redis.Message:
			deliver(string(m.Data))
		}
	}
}

// ping makes the server say something, until ctx ends. A failure needs no
// report: it closes the connection, and the reader notices that.
func ping(ctx context.Context, sub redis.PubSubConn) {
	tick := time.NewTicker(probe)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if sub.Ping("") != nil {
				return
			}
		}
	}
}
