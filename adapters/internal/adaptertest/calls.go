package adaptertest

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

func (s Suite) replies(t *testing.T) {
	for _, c := range s.Configurations {
		node, end := c.Dial(t, Server(t))
		defer end()
		for _, tt := range []struct {
			script string
			want   []int64
			err    string // in the error
		}{
			{script: `return {}`, want: []int64{}},
			{script: `return {0, 1, -1, 255, 256}`, want: []int64{0, 1, -1, 255, 256}},
			{script: `return {9007199254740991, -9223372036854775807 - 1}`, want: []int64{1<<53 - 1, math.MinInt64}},
			{script: `return 1`, err: "answered"},
			{script: `return '1'`, err: "answered"},
			{script: `return {ok = '1'}`, err: "answered"},
			{script: `return false`, err: "nil"},
			{script: `return nil`, err: "nil"},
			{script: `return {1, '2'}`, err: "element 1"},
			{script: `return {1, false}`, err: "element 1"},
			{script: `return {1, {2}}`, err: "element 1"},
			{script: `return {{1}}`, err: "element 0"},
			{script: `return {1, redis.error_reply('ERR no')}`, err: "element 1"},
		} {
			t.Run(c.Name+"/"+tt.script, func(t *testing.T) {
				got, err := node.Eval(t.Context(), tt.script, []string{"{" + t.Name() + "}"}, nil)
				switch {
				case tt.err == "" && (err != nil || !slices.Equal(got, tt.want)):
					t.Errorf("got %v, %v, want %v", got, err, tt.want)
				case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || got != nil):
					t.Errorf("got %v, %v, want an error that says %q", got, err, tt.err)
				}
			})
		}
	}
}

func (s Suite) serverErrors(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			node, end := c.Dial(t, Server(t))
			defer end()
			keys := []string{t.Name()}
			_, err := node.EvalSha(t.Context(), strings.Repeat("0", 40), keys, nil)
			if !errors.Is(err, core.ErrNoScript) || !s.IsReply(err) || !strings.Contains(err.Error(), "NOSCRIPT ") {
				t.Errorf("got %v, want ErrNoScript with the server's error in the chain", err)
			}
			// The text is the server's, whatever it mentions.
			for _, text := range []string{"ERR plain", "OOM command not allowed", "MYCODE it says NOSCRIPT somewhere", "ERR NOSCRIPT is no code here"} {
				_, err := node.Eval(t.Context(), `return redis.error_reply(ARGV[1])`, keys, []string{text})
				if err == nil || err.Error() != text || !s.IsReply(err) || errors.Is(err, core.ErrNoScript) {
					t.Errorf("got %v, want %q", err, text)
				}
			}
		})
	}
}

func (s Suite) evalShaAfterEval(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			node, end := c.Dial(t, Server(t))
			defer end()
			source := fmt.Sprintf("return {%d, #KEYS, #ARGV}", time.Now().UnixMicro()%1e9)
			sum := sha1.Sum([]byte(source))
			sha := hex.EncodeToString(sum[:])
			keys, args := []string{"{k}1", "{k}2"}, []string{"a", "b", "c"}
			if _, err := node.EvalSha(t.Context(), sha, keys, args); !errors.Is(err, core.ErrNoScript) {
				t.Fatalf("got %v, want ErrNoScript", err)
			}
			first, err := node.Eval(t.Context(), source, keys, args)
			if err != nil {
				t.Fatal(err)
			}
			second, err := node.EvalSha(t.Context(), sha, keys, args)
			if err != nil || !slices.Equal(first, second) || first[1] != 2 || first[2] != 3 {
				t.Errorf("got %v, then %v, %v", first, second, err)
			}
		})
	}
}

// binary sends keys and arguments of every kind and reads back what the
// server has seen of them: the length and a checksum.
func (s Suite) binary(t *testing.T) {
	values := []string{"", "\x00", "\r\n", "*1\r\n$4\r\nPING\r\n", "\xff\xfe", "ünï {}", strings.Repeat("x\x00\n", 1<<20/3)}
	const source = `local out = {}
for _, list in ipairs({KEYS, ARGV}) do
  for _, v in ipairs(list) do
    out[#out + 1] = #v
    out[#out + 1] = tonumber(string.sub(redis.sha1hex(v), 1, 12), 16)
  end
end
return out`
	var want []int64
	for range 2 {
		for _, v := range values {
			sum := sha1.Sum([]byte(v))
			var head int64
			for _, b := range sum[:6] {
				head = head<<8 | int64(b)
			}
			want = append(want, int64(len(v)), head)
		}
	}
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			node, end := c.Dial(t, Server(t))
			defer end()
			keys, args := slices.Clone(values), slices.Clone(values)
			got, err := node.Eval(t.Context(), source, keys, args)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
			if !slices.Equal(keys, values) || !slices.Equal(args, values) {
				t.Error("the call changed its keys or arguments")
			}
		})
	}
}

// contextInFlight ends contexts while the reply is held back. The caller
// overwrites its slices at once afterwards, which must not race with the client.
func (s Suite) contextInFlight(t *testing.T) {
	t.Parallel()
	for _, c := range s.Configurations {
		for _, end := range []struct {
			name string
			want error
		}{{"cancel", context.Canceled}, {"deadline", context.DeadlineExceeded}} {
			t.Run(c.Name+"/"+end.name, func(t *testing.T) {
				t.Parallel()
				r := NewProxy(t)
				node, stop := c.Dial(t, r.Addr())
				defer stop()
				if _, err := node.Eval(t.Context(), `return {1}`, []string{"k"}, nil); err != nil {
					t.Fatal(err)
				}
				before := r.Stats().Requests
				r.Stall(proxy.Both)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if end.want == context.DeadlineExceeded {
					ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
					defer cancel()
				}
				keys, args := []string{"k"}, []string{"a", "b"}
				begun, done := make(chan struct{}), make(chan error, 1)
				go func() {
					close(begun)
					_, err := node.Eval(ctx, `return {1}`, keys, args)
					keys[0], args[0], args[1] = "x", "y", "z"
					done <- err
				}()
				if end.want == context.Canceled {
					<-begun
					awaitRequest(t, r, before)
					cancel()
				}
				// At the latest by the client's own timeout.
				if err := wait(t, "return", done, Timeout+7*time.Second); err == nil {
					t.Errorf("got no error although no reply came")
				}
			})
		}
	}
}

func (s Suite) callAfterCut(t *testing.T) {
	for _, c := range s.Configurations {
		t.Run(c.Name, func(t *testing.T) {
			r := NewProxy(t)
			node, end := c.Dial(t, r.Addr())
			defer end()
			call := func() error {
				_, err := node.Eval(t.Context(), `return {1}`, []string{"k"}, nil)
				return err
			}
			if err := call(); err != nil {
				t.Fatal(err)
			}
			r.Cut()
			// The first calls may fail, while the client finds out, or be sent again by it.
			err := call()
			for i := 0; i < 100 && err != nil; i++ {
				err = call()
			}
			if err != nil {
				t.Errorf("got %v from the 100th call after the cut: the broken connection was kept", err)
			}
		})
	}
}

func (s Suite) BenchmarkEvalSha(b *testing.B) {
	const source = `return {1, 1234567890123456, 1700000000, 123456}`
	sum := sha1.Sum([]byte(source))
	sha := hex.EncodeToString(sum[:])
	keys := []string{"{k}1", "{k}2", "{k}3", "{k}4"}
	args := []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"}
	for _, c := range s.Configurations {
		b.Run(c.Name, func(b *testing.B) {
			node, end := c.Dial(b, Server(b))
			defer end()
			if _, err := node.Eval(b.Context(), source, keys, args); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := node.EvalSha(b.Context(), sha, keys, args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
