package redigo_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/redlatch/redlatch/adapters/internal/adaptertest"
	"github.com/redlatch/redlatch/adapters/redigo"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/proxy"
)

// The pools that change what the adapter sees.
var configurations = []adaptertest.Configuration{
	{Name: "DialContext", Dial: dial(func(p *redis.Pool, addr string) {})},
	{Name: "Dial", Dial: dial(func(p *redis.Pool, addr string) {
		p.DialContext = nil
		p.Dial = func() (redis.Conn, error) { return redis.Dial("tcp", addr, timeouts...) }
	})},
	{Name: "one connection", Dial: dial(func(p *redis.Pool, addr string) { p.MaxActive, p.Wait = 1, true })},
}

var timeouts = []redis.DialOption{
	redis.DialConnectTimeout(adaptertest.Timeout), redis.DialReadTimeout(adaptertest.Timeout), redis.DialWriteTimeout(adaptertest.Timeout),
}

func newPool(addr string) *redis.Pool {
	return &redis.Pool{MaxIdle: 16, DialContext: func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", addr, timeouts...)
	}}
}

func dial(change func(p *redis.Pool, addr string)) func(testing.TB, string) (adaptertest.Node, func()) {
	return func(t testing.TB, addr string) (adaptertest.Node, func()) {
		pool := newPool(addr)
		change(pool, addr)
		s := redigo.NewAt(pool, addr)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		return s, func() { _ = pool.Close() }
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		pool *redis.Pool
		want string // in the error; "" for none
	}{
		{"nil", nil, "nil"},
		{"no dial function", &redis.Pool{}, "DialContext"},
		{"Dial", &redis.Pool{Dial: func() (redis.Conn, error) { return nil, errors.New("not called") }}, ""},
		{"DialContext", newPool("127.0.0.1:1"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := redigo.New(tt.pool).Check()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tt.want != "" && (!errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an ErrInvalid that says %q", err, tt.want)
			}
		})
	}
}

// TestContextEndsCall holds the reply back: unlike the other clients, this one
// comes back with the context's own error, at once.
func TestContextEndsCall(t *testing.T) {
	t.Parallel()
	p := adaptertest.NewProxy(t)
	pool := newPool(p.Addr())
	defer pool.Close()
	s := redigo.New(pool)
	if _, err := s.Eval(t.Context(), `return {1}`, []string{"k"}, nil); err != nil {
		t.Fatal(err)
	}
	before := p.Stats().Requests
	p.Stall(proxy.Both)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		if err := p.Await(t.Context(), func(s proxy.Stats) bool { return s.Requests > before }); err != nil {
			t.Error(err)
		}
	}()
	if _, err := s.Eval(ctx, `return {1}`, []string{"k"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if n := pool.IdleCount(); n != 0 {
		t.Errorf("%d connections were put back, of which one awaits a reply", n)
	}
}

// TestExhaustedPool keeps the only connection busy with many callers: all of them
// are served, one whose context ends while it waits says so, and a pool that does
// not wait says that it is exhausted.
func TestExhaustedPool(t *testing.T) {
	pool := newPool(adaptertest.Server(t))
	pool.MaxActive, pool.Wait = 1, true
	defer pool.Close()
	s := redigo.New(pool)
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if _, err := s.Eval(t.Context(), `return {1}`, []string{"k"}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	held := pool.Get()
	if err := held.Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Eval(ctx, `return {1}`, []string{"k"}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v from a caller that waited for a connection, want its context's error", err)
	}
	_ = held.Close()

	strict := newPool(adaptertest.Server(t))
	strict.MaxActive = 1
	defer strict.Close()
	held = strict.Get()
	defer held.Close()
	if _, err := redigo.New(strict).Eval(t.Context(), `return {1}`, []string{"k"}, nil); !errors.Is(err, redis.ErrPoolExhausted) {
		t.Errorf("got %v, want ErrPoolExhausted", err)
	}
}

var suite = adaptertest.Suite{Configurations: configurations, IsReply: isReply, IsClosed: isClosed}

func TestAdapter(t *testing.T) { suite.Run(t) }

func BenchmarkEvalSha(b *testing.B) { suite.BenchmarkEvalSha(b) }

// isReply says whether err is the client's type for an error reply.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// isClosed knows the client's error by its text: it has no type.
func isClosed(err error) bool { return strings.Contains(err.Error(), "redigo: get on closed pool") }
