package program

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/redlock"
)

// Outlast returns when two attempts to lock on a server that is away have failed, as has by
// then the first attempt of a program that was started before.
func Outlast(tb testing.TB, addr string) {
	tb.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	defer client.Close()
	mutex, err := redlock.NewMutex([]redlatch.Scripter{goredis.New(client)}, "outage", nil)
	if err != nil {
		tb.Fatal(err)
	}
	for range 2 {
		_, err = mutex.TryLock(tb.Context())
		var failed *redlatch.NodeError
		if !errors.As(err, &failed) {
			tb.Fatalf("without a server: got %v, want its error", err)
		}
	}
}
