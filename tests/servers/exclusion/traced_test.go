package exclusion_test

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/extra/rediscmd/v9"
	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
)

// A tracer prints commands as redisotel does.
type tracer struct {
	mu    sync.Mutex
	lines []string
}

func (tr *tracer) DialHook(next redis.DialHook) redis.DialHook { return next }

func (tr *tracer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.lines = append(tr.lines, rediscmd.CmdString(cmd))
		return err
	}
}

func (tr *tracer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

var (
	scriptNamed = regexp.MustCompile(`^(evalsha [0-9a-f]{40}|eval <script [0-9a-f]{40}>) \d+ `)
	addressed   = regexp.MustCompile(`\b0x[0-9a-f]{6,}\b`)
	printable   = regexp.MustCompile(`^[ -~]*$`)
)

// TestTraced reads what a tracer prints of a lock, from the first use of its scripts on.
func TestTraced(t *testing.T) {
	for _, tt := range []struct{ name, lock, want string }{
		{"plain", "orders 42", "orders 42"},
		{"not printable", "orders\n\x1b[2J\xff", "6f72646572730a1b5b324aff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := redistest.Start(t, 1, nil) // no script is cached
			client := redis.NewClient(&redis.Options{Addr: server[0].Addr()})
			t.Cleanup(func() { _ = client.Close() })
			tr := new(tracer)
			client.AddHook(tr)
			m, err := redlock.NewMutex([]core.Scripter{goredis.New(client)}, tt.lock, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				lease, err := m.Lock(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := lease.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			tr.mu.Lock()
			defer tr.mu.Unlock()
			evals := 0
			for _, line := range tr.lines {
				command, _, _ := strings.Cut(line, " ")
				if command != "eval" && command != "evalsha" {
					continue // the connection's own
				}
				switch {
				case !scriptNamed.MatchString(line):
					t.Errorf("got %q, want the name of a script, not its source", line)
				case addressed.MatchString(line):
					t.Errorf("got %q, which has an address of this process's memory", line)
				case !printable.MatchString(line):
					t.Errorf("got %q, which is not printable", line)
				}
				if command == "eval" {
					evals++
				}
			}
			if evals == 0 {
				t.Error("no script was used for the first time")
			}
			if all := strings.Join(tr.lines, "\n"); !strings.Contains(all, tt.want) {
				t.Errorf("got\n%s\nwant the lock's name in it, as %s", all, tt.want)
			}
		})
	}
}
