package conformance_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redlatch/redlatch/conformance"
	"github.com/redlatch/redlatch/conformance/internal/resp"
	"github.com/redlatch/redlatch/core"
)

// A breakage makes a right Scripter wrong in one way.
type breakage struct {
	name     string
	how      string
	caughtBy string // the case
	says     string // a regular expression that its message matches
	wrap     func(t *testing.T, addr string, s *resp.Scripter) core.Scripter
}

// A call is one call of either method, as the wrappers see it.
type call func(ctx context.Context, script string, keys, args []string) ([]int64, error)

// around wraps both methods alike, and leaves Subscribe as it is.
type around struct {
	*resp.Scripter
	do func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error)
}

func (a around) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	return a.do(ctx, a.Scripter.EvalSha, sha1, keys, args)
}

func (a around) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return a.do(ctx, a.Scripter.Eval, source, keys, args)
}

// calls is a breakage of both methods without a memory.
func calls(do func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error)) func(*testing.T, string, *resp.Scripter) core.Scripter {
	return func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter { return around{s, do} }
}

// replies is a breakage of what comes back.
func replies(change func(values []int64, err error) ([]int64, error)) func(*testing.T, string, *resp.Scripter) core.Scripter {
	return calls(func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
		return change(next(ctx, script, keys, args))
	})
}

// arguments is a breakage of what goes out.
func arguments(change func(keys, args []string) ([]string, []string)) func(*testing.T, string, *resp.Scripter) core.Scripter {
	return calls(func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
		keys, args = change(keys, args)
		return next(ctx, script, keys, args)
	})
}

func isNetError(err error) bool {
	var e net.Error
	return errors.As(err, &e) || err != nil && strings.Contains(err.Error(), "EOF")
}

func trimAll(list []string) []string {
	list = slices.Clone(list)
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

var broken = slices.Concat(brokenReplies, brokenArguments, brokenCalls, brokenClients, brokenSubscriptions, brokenLocks)

var brokenReplies = []breakage{
	{"swallows-errors", "an error becomes an empty result", "Scripter/ErrorReply", `got \[\], nil, want no result and an error`,
		replies(func(values []int64, err error) ([]int64, error) { return values, nil })},
	{"rewords-errors", "an error loses its text", "Scripter/ErrorReply", `got the error "the call failed".*, want one with "LOADING`,
		replies(func(values []int64, err error) ([]int64, error) {
			if err != nil && !errors.Is(err, core.ErrNoScript) {
				err = errors.New("the call failed")
			}
			return values, err
		})},
	{"zero-for-lost-reply", "a connection error becomes a zero", "Scripter/LostReply", `got \[0\], nil, want an error or one of the answers 1 to 1`,
		replies(func(values []int64, err error) ([]int64, error) {
			if isNetError(err) {
				return []int64{0}, nil
			}
			return values, err
		})},
	{"zero-for-nil", "nil becomes a zero", "Scripter/WrongReplyNil", `got \[0\], nil, want no result and an error`,
		replies(func(values []int64, err error) ([]int64, error) {
			if err != nil && strings.Contains(err.Error(), "nil") {
				return []int64{0}, nil
			}
			return values, err
		})},
	{"parses-strings", "a string of digits becomes an integer", "Scripter/WrongReplyDigits", `got \[7\], nil, want no result and an error`,
		replies(func(values []int64, err error) ([]int64, error) {
			if err != nil && strings.Contains(err.Error(), `"7"`) {
				return []int64{7}, nil
			}
			return values, err
		})},
	{"one-error-for-all", "the error for a wrong reply does not name it", "Scripter/WrongReplyNamed", `want one that names what came`,
		replies(func(values []int64, err error) ([]int64, error) {
			if err != nil {
				err = errors.New("unexpected reply")
			}
			return values, err
		})},
	{"32-bits", "integers are cut to 32 bits", "Scripter/Integers", `got \[2147483647 -2147483648 -2147483648 0\], nil, want \[2147483647 -2147483648 2147483648 4294967296\]`,
		replies(func(values []int64, err error) ([]int64, error) {
			for i := range values {
				values[i] = int64(int32(values[i]))
			}
			return values, err
		})},
	{"loses-noscript", "NOSCRIPT is an error like others", "Scripter/NoScript", `want core.ErrNoScript in its chain`,
		replies(func(values []int64, err error) ([]int64, error) {
			if errors.Is(err, core.ErrNoScript) {
				err = errors.New(err.Error())
			}
			return values, err
		})},
	{"noscript-for-all", "every error is core.ErrNoScript", "Scripter/NotNoScript", `got core.ErrNoScript .*, want another error`,
		replies(func(values []int64, err error) ([]int64, error) {
			if err != nil {
				err = errors.Join(core.ErrNoScript, err)
			}
			return values, err
		})},
	{"shares-replies", "all replies are in one slice", "Scripter/RepliesSeparate", `after later calls and writes to earlier replies`,
		func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter {
			shared := make([]int64, 0, 64)
			return around{s, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
				values, err := next(ctx, script, keys, args)
				return append(shared[:0], values...), err
			}}
		}},
}

var brokenArguments = []breakage{
	{"trims-arguments", "blanks around arguments are cut off", "Scripter/BinaryArguments", `of all of them: argument 2 of \d+: got "" \(0 bytes\), want " " \(1 bytes\), which differ from byte 0 on`,
		arguments(func(keys, args []string) ([]string, []string) { return keys, trimAll(args) })},
	{"prefixes-keys", "keys get a prefix", "Scripter/BinaryKeys", `key "0": key 1 of 1: got "app:0" \(5 bytes\), want "0" \(1 bytes\), which differ from byte 0 on`,
		arguments(func(keys, args []string) ([]string, []string) {
			keys = slices.Clone(keys)
			for i := range keys {
				keys[i] = "app:" + keys[i]
			}
			return keys, args
		})},
	{"changes-keys", "keys are changed in place", "Scripter/ArgumentsUnchanged", `has changed keys`,
		arguments(func(keys, args []string) ([]string, []string) {
			for i := range keys {
				keys[i] = strings.ToUpper(keys[i])
			}
			return keys, args
		})},
	{"appends-in-place", "arguments are appended to the slice of the keys", "Scripter/ArgumentsUnchanged", `has changed keys, up to their capacity`,
		arguments(func(keys, args []string) ([]string, []string) {
			return append(keys, args...)[:len(keys)], args
		})},
	{"drops-empty", "empty arguments are left out", "Scripter/BinaryArguments", `argument "": the script got 1 keys and 0 arguments, want 1 and 1`,
		arguments(func(keys, args []string) ([]string, []string) {
			return keys, slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == "" })
		})},
	{"cuts-arguments", "arguments end at 64 KiB", "Scripter/LargeArgument", `got \[\d+ 65536 0\], nil, want \[\d+ 1048576 1\], nil`,
		arguments(func(keys, args []string) ([]string, []string) {
			args = slices.Clone(args)
			for i := range args {
				args[i] = args[i][:min(len(args[i]), 1<<16)]
			}
			return keys, args
		})},
	{"keeps-arguments", "arguments are remembered by the address of the slice", "Scripter/ArgumentsNotKept", `with slices used before, call 2: argument 1 of 3: got "0argument0"`,
		func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter {
			var mu sync.Mutex
			kept := map[*string][]string{}
			return around{s, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
				if len(args) > 0 {
					mu.Lock()
					if kept[&args[0]] == nil {
						kept[&args[0]] = slices.Clone(args)
					}
					args = kept[&args[0]]
					mu.Unlock()
				}
				return next(ctx, script, keys, args)
			}}
		}},
}

var brokenCalls = []breakage{
	{"runs-twice", "a script runs twice and the answers are added", "Scripter/Once", `call 1 of Eval that adds 1: got \[3\], nil, want \[1\], nil`,
		calls(func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
			first, err := next(ctx, script, keys, args)
			if err != nil {
				return nil, err
			}
			second, err := next(ctx, script, keys, args)
			for i := range first {
				second[i] += first[i]
			}
			return second, err
		})},
	{"replica", "calls go to a server that only reads", "Scripter/Primary", `a script that writes: got \[\], error ".*, want \[1\], nil`, readOnly},
	{"drops-context", "the context is not passed on", "Scripter/Deadline", `the return of call 1, whose context had a deadline .* has not come after`,
		calls(func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
			return next(context.WithoutCancel(ctx), script, keys, args)
		})},
	{"drops-cancel", "only the context's deadline is passed on", "Scripter/Cancel", `which was cancelled and whose answer is held back, has not come after`,
		calls(func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
			deadline, ok := ctx.Deadline()
			detached := context.WithoutCancel(ctx)
			if ok {
				var cancel context.CancelFunc
				detached, cancel = context.WithDeadline(detached, deadline)
				defer cancel()
			}
			return next(detached, script, keys, args)
		})},
	{"hangs-on-cut", "a call whose connection is cut does not come back", "Scripter/CutConnection", `whose connection was cut before its answer, has not come after`,
		calls(func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
			values, err := next(ctx, script, keys, args)
			if isNetError(err) {
				select {}
			}
			return values, err
		})},
	{"stays-broken", "after one connection error every call fails", "Scripter/Restart", `after a restart of the server calls still fail`,
		func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter {
			var down atomic.Bool
			return around{s, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
				if down.Load() {
					return nil, errors.New("connection closed")
				}
				values, err := next(ctx, script, keys, args)
				down.CompareAndSwap(false, isNetError(err))
				return values, err
			}}
		}},
	{"deadlocks", "each call takes two of 16 slots, one after the other", "Scripter/Concurrent", `of 200 at the same time`,
		func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter {
			slots := make(chan struct{}, 16)
			return around{s, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
				for range 2 {
					slots <- struct{}{}
					defer func() { <-slots }()
				}
				return next(ctx, script, keys, args)
			}}
		}},
	{"mixes-answers", "concurrent calls get each other's answers", "Scripter/Concurrent", `of 200 at the same time: got \[\d+ \d+\], nil, want \[\d+ \d+\], nil`,
		func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter {
			var last atomic.Pointer[[]int64]
			return around{s, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
				values, err := next(ctx, script, keys, args)
				if err != nil || len(args) != 2 {
					return values, err
				}
				if other := last.Swap(&values); other != nil {
					return *other, nil
				}
				return values, nil
			}}
		}},
	{"out-of-step", "the late answer to one call is taken for the next one's", "Scripter/LateReply", `after a call that was given up: got \[-1\], nil, want \[\d+\], nil`,
		func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter {
			type result struct {
				values []int64
				err    error
			}
			results := make(chan result, 1000) // one connection's replies, in order
			return around{s, func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
				go func() {
					values, err := next(context.WithoutCancel(ctx), script, keys, args)
					results <- result{values, err}
				}()
				select {
				case r := <-results:
					return r.values, r.err
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}}
		}},
	{"leaks-goroutine", "each call leaves a goroutine", "Scripter/Once", `these goroutines are left:\n(.*\n)*.*breakages_test.go`,
		calls(func(ctx context.Context, next call, script string, keys, args []string) ([]int64, error) {
			go func() { select {} }()
			return next(ctx, script, keys, args)
		})},
	{"wrong-server", "the client does not use the address that dial was given", "Scripter/SlowServer", `has come back after|saw none of the case's calls`,
		func(t *testing.T, _ string, _ *resp.Scripter) core.Scripter {
			return resp.New(conformance.Addrs(t)[0])
		}},
	{"check-refuses", "Check refuses a client that works", "Scripter/Check", `Check of a client that works: got "no"`,
		func(_ *testing.T, _ string, s *resp.Scripter) core.Scripter { return refusing{s} }},
}

type refusing struct{ *resp.Scripter }

func (refusing) Check() error { return errors.New("no") }

// readOnly sends EVAL_RO and EVALSHA_RO, which clients send to replicas.
func readOnly(t *testing.T, addr string, _ *resp.Scripter) core.Scripter {
	return resp.New(rewrite(t, addr, map[string]string{"EVAL": "EVAL_RO", "EVALSHA": "EVALSHA_RO"}))
}

// rewrite relays to addr and replaces commands, which come first on a connection.
func rewrite(t *testing.T, addr string, commands map[string]string) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	bulk := func(s string) string { return "\r\n$" + strconv.Itoa(len(s)) + "\r\n" + s + "\r\n" }
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				client.Close()
				return
			}
			relay := func(from, to net.Conn) {
				defer to.Close()
				for buf := make([]byte, 1<<16); ; {
					n, err := from.Read(buf)
					if err != nil {
						return
					}
					text := string(buf[:n])
					for old, new := range commands {
						text = strings.Replace(text, bulk(old), bulk(new), 1)
					}
					if _, err := to.Write([]byte(text)); err != nil {
						return
					}
				}
			}
			wg.Go(func() { relay(client, server) })
			wg.Go(func() { relay(server, client) })
		}
	})
	return l.Addr().String()
}
