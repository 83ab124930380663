package conformance_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/redlatch/redlatch/conformance/internal/resp"
	"github.com/redlatch/redlatch/core"
)

type subscribe func(ctx context.Context, channel string, ready func(), deliver func(payload string)) error

// listening wraps Subscribe, and leaves the calls as they are.
type listening struct {
	*resp.Scripter
	do func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(payload string)) error
}

func (l listening) Subscribe(ctx context.Context, channel string, ready func(), deliver func(payload string)) error {
	return l.do(l.Scripter.Subscribe, ctx, channel, ready, deliver)
}

func subscriptions(do func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(payload string)) error) func(*testing.T, string, *resp.Scripter) core.Scripter {
	return func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter { return listening{s, do} }
}

var brokenSubscriptions = []breakage{
	{"never-ready", "a subscription never says ready", "Scripter/SubscribeReady", `Subscribe has not called ready after`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			return next(ctx, channel, func() {}, deliver)
		})},
	{"ready-early", "ready is called before the server has confirmed", "Scripter/SubscribeReadyLate", `has called ready although nothing has come back`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			ready()
			return next(ctx, channel, func() {}, deliver)
		})},
	{"ready-aside", "ready is called by a goroutine of its own", "Scripter/SubscribeReadyFirst", `has called deliver before ready had returned`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			var aside sync.WaitGroup
			defer aside.Wait()
			return next(ctx, channel, func() { aside.Go(ready) }, deliver)
		})},
	{"ready-often", "ready is called with each message", "Scripter/SubscribeReady", `has called ready more than once`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			return next(ctx, channel, ready, func(payload string) { ready(); deliver(payload) })
		})},
	{"reconnects", "a broken subscription is made again unseen", "Scripter/SubscribeCut", `the return of Subscribe after its connection was cut has not come`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			err := next(ctx, channel, ready, deliver)
			for ctx.Err() == nil {
				err = next(ctx, channel, func() {}, deliver)
			}
			return err
		})},
	{"nil-when-cut", "a broken subscription ends without an error", "Scripter/SubscribeCut", `after its connection was cut: got <nil>`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			next(ctx, channel, ready, deliver)
			return ctx.Err()
		})},
	{"nil-when-cancelled", "a cancelled subscription ends without an error", "Scripter/SubscribeCancel", `after its context was cancelled: got <nil>, want context canceled`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			err := next(ctx, channel, ready, deliver)
			if ctx.Err() != nil {
				return nil
			}
			return err
		})},
	{"closed-for-deadline", "the connection's error hides the context's", "Scripter/SubscribeDeadline", `after its deadline: got connection closed`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			next(ctx, channel, ready, deliver)
			return errors.New("connection closed")
		})},
	{"deaf-to-cancel", "a subscription outlives its context", "Scripter/SubscribeStalled", `the return of Subscribe after its context was cancelled has not come`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			return next(context.WithoutCancel(ctx), channel, ready, deliver)
		})},
	{"keeps-listening", "the server's subscription outlives the call", "Scripter/SubscribeCancel", `after Subscribe has returned its channel still has a receiver|called ready or deliver after it had returned`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			result := make(chan error, 1)
			go func() { result <- next(context.WithoutCancel(ctx), channel, ready, deliver) }()
			select {
			case err := <-result:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})},
	{"delivers-at-once", "each message is delivered by a goroutine of its own", "Scripter/SubscribeOrder", `got the message "\d+", want "\d+"|while another call of it was under way`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			return next(ctx, channel, ready, func(payload string) { go deliver(payload) })
		})},
	{"delivers-twice", "each message is delivered twice", "Scripter/SubscribeOrder", `got the message "1", want "2"`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			return next(ctx, channel, ready, func(payload string) { deliver(payload); deliver(payload) })
		})},
	{"utf8-payloads", "payloads are made valid UTF-8", "Scripter/SubscribePayloads", `a message: got "\?" \(1 bytes\), want "\\xff\\xfe" \(2 bytes\), which differ from byte 0 on`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			return next(ctx, channel, ready, func(payload string) { deliver(strings.ToValidUTF8(payload, "?")) })
		})},
	{"trims-channels", "blanks around channels are cut off", "Scripter/SubscribeChannels", `got the message "of another channel"`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			return next(ctx, strings.TrimSpace(channel), ready, deliver)
		})},
	{"leaks-subscription", "each subscription leaves a goroutine", "Scripter/SubscribeLeavesNothing", `after 20 calls of Subscribe have returned, 20 goroutines are left`,
		subscriptions(func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
			go func() { select {} }()
			return next(ctx, channel, ready, deliver)
		})},
	{"one-subscription", "a second subscription waits for the first to end", "Scripter/SubscribeIndependent", `Subscribe has not called ready after`, oneAtATime},
}

func oneAtATime(_ *testing.T, _ string, s *resp.Scripter) core.Scripter {
	turn := make(chan struct{}, 1)
	return listening{s, func(next subscribe, ctx context.Context, channel string, ready func(), deliver func(string)) error {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
			return next(ctx, channel, ready, deliver)
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}
