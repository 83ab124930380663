package conformance_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"testing"

	"github.com/redlatch/redlatch/conformance/internal/resp"
	"github.com/redlatch/redlatch/core"
)

// brokenLocks pass a call on well enough, but not what the locks make of it.
var brokenLocks = []breakage{
	{"key-per-client", "each client has keys of its own", "Mutex/LockRelease", `TryLock of another client while it is held: got a lease, want core.ErrNotAcquired`,
		func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter {
			own := rand.Text()
			return around{s, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
				if len(keys) > 1 { // a lock's; its siblings stay apart by their suffixes
					keys = slices.Clone(keys)
					for i := range keys {
						keys[i] += own
					}
				}
				return next(ctx, script, keys, args)
			}}
		}},
	{"refused-for-lost", "a connection error becomes a refusal", "RWMutex/Unreachable", `TryLock with no server to be reached: got redlatch: not acquired`,
		replies(func(values []int64, err error) ([]int64, error) {
			if isNetError(err) {
				return []int64{0, 1, 0, -1, 1, 0}, nil
			}
			return values, err
		})},
	{"ttl-in-seconds", "the time to live is sent in seconds", "Semaphore/Abandoned", `TryLock just after the holder's client has vanished: got a lease|a lease of a free lock, held on all nodes, has not come`,
		arguments(func(keys, args []string) ([]string, []string) {
			args = slices.Clone(args)
			for i := range args {
				if n, err := strconv.Atoi(args[i]); err == nil && n >= 1000 && n < 1_000_000 {
					args[i] = strconv.Itoa(n / 1000)
				}
			}
			return keys, args
		})},
}
