package goredis_test

import (
	"context"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/adapters/goredis"
)

// A dial function that panics costs the subscription, which redlatch begins anew each
// second: nothing may be left each time, which TestMain looks for.
func TestSubscribePanic(t *testing.T) {
	client := redis.NewClient(&redis.Options{
		Addr:   "127.0.0.1:1",
		Dialer: func(context.Context, string, string) (net.Conn, error) { panic("no way to dial") },
	})
	t.Cleanup(func() { _ = client.Close() })
	defer func() {
		if got := recover(); got != "no way to dial" {
			t.Errorf("got the panic %v, want the dial function's", got)
		}
	}()
	_ = goredis.New(client).Subscribe(context.Background(), "c", func() {}, func(string) {})
}
