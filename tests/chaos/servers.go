//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	client "github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/tests/states"
)

// A server is one node, and who may break it.
type server struct {
	*redistest.Server
	group *redistest.Group
	mu    sync.Mutex // held while it is broken
}

// openServers starts one server for each image, with persistence or without. Where the
// machine cannot have an image, the one it has stands in.
func openServers(ctx context.Context, images []redistest.Image, persistent bool) ([]*server, error) {
	all := make([]*server, len(images))
	errs := make([]error, len(images))
	var wg sync.WaitGroup
	for i, image := range images {
		wg.Go(func() {
			cfg := &redistest.Config{Image: image, AppendOnly: persistent, Args: states.Args}
			g, err := redistest.Open(ctx, 1, cfg)
			if err != nil && image != "" {
				var without error
				if g, without = redistest.Open(ctx, 1, &redistest.Config{AppendOnly: persistent, Args: states.Args}); without == nil {
					err = nil
				}
			}
			if err == nil && (!g.Servers()[0].CanFault() || !g.Servers()[0].Real()) {
				err = errors.Join(fmt.Errorf("chaos: %s servers cannot be used, containers or processes are needed", g.Kind()), g.Close())
			}
			if errs[i] = err; err == nil {
				all[i] = &server{Server: g.Servers()[0], group: g}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, closeServers(all))
	}
	return all, nil
}

func closeServers(all []*server) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, s := range all {
		if s != nil {
			wg.Go(func() { errs[i] = s.group.Close() })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// breakBy returns a fault's beginning, which holds the server until its end. An
// engine that is busy may fail to pause or kill; then the server is restarted, which
// ends in a known state whatever has happened to it, and stays sound.
func (s *server) breakBy(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		s.mu.Lock()
		err := f(ctx)
		if err != nil {
			err = s.persist(ctx, s.Restart)
		}
		if err != nil {
			s.mu.Unlock()
		}
		return err
	}
}

// mendBy returns a fault's end.
func (s *server) mendBy(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		defer s.mu.Unlock()
		if f(ctx) == nil {
			return nil
		}
		return s.persist(ctx, s.Restart)
	}
}

// persist tries until it works, ctx ends, or five times.
func (s *server) persist(ctx context.Context, f func(context.Context) error) error {
	err := f(ctx)
	for tries := 1; err != nil && tries < 5 && sleep(ctx, time.Second); tries++ {
		err = f(ctx)
	}
	return err
}

// empty deletes what the server holds.
func (s *server) empty(ctx context.Context) error {
	c := client.NewClient(&client.Options{Addr: s.Addr()})
	defer func() { _ = c.Close() }()
	return c.FlushAll(ctx).Err()
}

// watch pings the server every 20 ms until ctx ends and returns the longest that an
// answer took, or was late because the pause before it took longer: a machine that stands
// still does so in a pause most often.
func (s *server) watch(ctx context.Context) time.Duration {
	const pause = 20 * time.Millisecond
	c := client.NewClient(&client.Options{Addr: s.Addr(), ReadTimeout: 30 * time.Second})
	defer func() { _ = c.Close() }()
	_ = c.Ping(context.WithoutCancel(ctx)).Err() // it connects
	var worst time.Duration
	for goesOn, last := true, time.Now(); goesOn; last = time.Now() {
		if goesOn = sleep(ctx, pause); goesOn {
			_ = c.Ping(context.WithoutCancel(ctx)).Err()
		}
		worst = max(worst, time.Since(last)-pause)
	}
	return worst
}

// leftOn returns what the workers have left on a server and ought not to: every key
// but meta and probe keys that have a TTL. It waits for the rest to go.
func leftOn(ctx context.Context, addr string, within time.Duration) (string, error) {
	c := client.NewClient(&client.Options{Addr: addr})
	defer func() { _ = c.Close() }()
	for deadline := time.Now().Add(within); ; {
		left, err := listLeft(ctx, c)
		if err != nil || left == "" || time.Now().After(deadline) {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func listLeft(ctx context.Context, c *client.Client) (string, error) {
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil {
		return "", err
	}
	var left []string
	for _, key := range keys {
		ttl, err := c.PTTL(ctx, key).Result()
		if err != nil {
			return "", err
		}
		stays := strings.HasSuffix(key, ":meta") || strings.HasPrefix(key, "probe:")
		if ttl == -2 || stays && ttl > 0 { // -2: gone by now
			continue
		}
		left = append(left, fmt.Sprintf("%q (TTL %v)", key, ttl))
	}
	return strings.Join(left, ", "), nil
}
