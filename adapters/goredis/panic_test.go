package goredis_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/adapters/goredis"
)

// A dial function that panics costs the subscription, which redlatch begins anew each
// second: nothing may be left each time.
func TestSubscribePanic(t *testing.T) {
	client := redis.NewClient(&redis.Options{
		Addr:   "127.0.0.1:1",
		Dialer: func(context.Context, string, string) (net.Conn, error) { panic("no way to dial") },
	})
	t.Cleanup(func() { _ = client.Close() })
	func() {
		defer func() {
			if got := recover(); got != "no way to dial" {
				t.Errorf("got the panic %v, want the dial function's", got)
			}
		}()
		_ = goredis.New(client).Subscribe(t.Context(), "c", func() {}, func(string) {})
	}()
	stacks := make([]byte, 1<<20)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		all := string(stacks[:runtime.Stack(stacks, true)])
		if !strings.Contains(all, "goredis.(*Scripter).Subscribe") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("a goroutine of Subscribe is left:\n%s", all)
		}
	}
}
