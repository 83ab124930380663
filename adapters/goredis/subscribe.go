package goredis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// A subscribed connection is asked for a sign of life every probe. Without one
// for silence it counts as gone.
const (
	probe   = 2 * time.Second
	silence = 5 * time.Second
)

// Subscribe implements [core.Subscriber]. A silent connection is given up after
// five seconds. While the connection is being made, the end of ctx is noticed
// within the client's own timeouts; after that at once.
func (s *Scripter) Subscribe(ctx context.Context, channel string, ready func(), deliver func(payload string)) error {
	// The client looks at the deadline of a context where it reads and would report
	// it as a silent connection; so it gets only the cancellation.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	sub := s.client.Subscribe(inner)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		cancel()
		_ = sub.Close()
	})
	pinged := make(chan struct{})
	go func() {
		defer close(pinged)
		ping(inner, sub)
	}()
	defer func() { // also where a dial function panics
		cancel()
		_ = sub.Close()
		<-pinged
		if !stop() {
			<-closed
		}
	}()
	err := receive(inner, sub, channel, ready, deliver)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// receive returns the first error. By then the client may have connected and
// subscribed anew, which the caller ends by closing sub.
func receive(ctx context.Context, sub *redis.PubSub, channel string, ready func(), deliver func(string)) error {
	if err := sub.Subscribe(ctx, channel); err != nil {
		return err
	}
	for confirmed := false; ; {
		m, err := sub.ReceiveTimeout(ctx, silence)
		var refused redis.Error
		switch {
		case err != nil && confirmed && errors.As(err, &refused):
			continue // a user who may not PING; the connection lives
		case err != nil:
			return err
		}
		switch m := m.(type) {
		case *redis.Subscription:
			if m.Kind != "subscribe" || confirmed {
				return fmt.Errorf("redlatch: goredis: the subscription to %q was replaced (%s)", channel, m.Kind)
			}
			confirmed = true
			ready()
		case *redis.Message:
			deliver(m.Payload)
		}
	}
}

// ping makes the server say something, until ctx ends. A failure needs no
// report: the reader notices it.
func ping(ctx context.Context, sub *redis.PubSub) {
	tick := time.NewTicker(probe)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = sub.Ping(ctx)
		}
	}
}
