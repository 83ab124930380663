package rueidis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// A subscription is asked for again every probe, which the server confirms
// without changing it. Without that confirmation for silence the connection
// counts as gone. Unlike PING this goes over the subscribed connection in RESP2
// too, where the client uses two, and needs no further permission.
const (
	probe   = 2 * time.Second
	silence = 3 * time.Second
)

// Subscribe implements [core.Subscriber]. A silent connection is given up after
// five seconds. While the connection is being made, the end of ctx is noticed
// within ClientOption.Dialer.Timeout; after that at once, though a server that
// does not answer then delays the return by about two seconds.
func (s *Scripter) Subscribe(ctx context.Context, channel string, ready func(), deliver func(payload string)) error {
	// Client.Receive reconnects by itself and shares its connection with commands;
	// a dedicated connection does neither.
	conn, release := s.client.Dedicate()
	defer release()
	// The hooks run in the client's reader, one at a time. From there a message has one
	// goroutine less to pass than through a channel.
	var mu sync.Mutex
	var once sync.Once
	over, replaced := make(chan struct{}), make(chan error, 1)
	heard := func(do func()) {
		mu.Lock()
		defer mu.Unlock()
		select {
		case <-over:
		default:
			do()
		}
	}
	gone := conn.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage: func(m rueidis.PubSubMessage) { heard(func() { deliver(m.Message) }) },
		OnSubscription: func(sub rueidis.PubSubSubscription) {
			heard(func() {
				if sub.Kind == "subscribe" {
					once.Do(ready) // the first answers ask, the others its probes
					return
				}
				select {
				case replaced <- fmt.Errorf("redlatch: rueidis: the subscription to %q ended (%s)", channel, sub.Kind):
				default: // there is a reason already
				}
			})
		},
	})
	asked := make(chan error, 1)
	go func() { asked <- ask(ctx, conn, channel, over) }()

	var err error
	waiting := true
	select {
	case err = <-replaced:
	case err = <-gone:
		if err == nil {
			err = errors.New("redlatch: rueidis: the subscribed connection was closed")
		}
	case err = <-asked:
		waiting = false
	case <-ctx.Done():
	}
	mu.Lock()
	close(over)
	mu.Unlock()
	conn.Close() // not back to the pool: no message may reach the next user
	if waiting {
		<-asked
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// ask subscribes, and again every probe, until a subscription is not confirmed
// or over is closed.
func ask(ctx context.Context, conn rueidis.DedicatedClient, channel string, over <-chan struct{}) error {
	tick := time.NewTicker(probe)
	defer tick.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, silence)
		err := conn.Do(limited, conn.B().Subscribe().Channel(channel).Build()).Error()
		silent := limited.Err() != nil
		cancel()
		switch {
		case err != nil && silent:
			return fmt.Errorf("redlatch: rueidis: the subscription to %q was not confirmed within %v", channel, silence)
		case err != nil:
			return err
		}
		select {
		case <-tick.C:
		case <-over:
			return rueidis.ErrClosing
		}
	}
}
