package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
)

// Servers are the servers of one run and a connection to each that is not counted.
type Servers struct {
	group  *redistest.Group
	admins []*goredis.Client
}

// Open starts n servers without persistence. They are child processes, where the
// environment that [redistest] reads does not ask for another kind: a container's
// network would be measured too.
func Open(ctx context.Context, n int) (*Servers, error) {
	cfg := &redistest.Config{Kind: redistest.Process}
	if os.Getenv("REDLATCH_SERVERS") != "" || os.Getenv("REDLATCH_REQUIRED") != "" {
		cfg.Kind = ""
	}
	group, err := redistest.Open(ctx, n, cfg)
	if err != nil {
		return nil, err
	}
	s := &Servers{group: group}
	for _, addr := range group.Addrs() {
		s.admins = append(s.admins, goredis.NewClient(&goredis.Options{Addr: addr}))
	}
	return s, nil
}

// Close stops the servers.
func (s *Servers) Close() error {
	var errs []error
	for _, a := range s.admins {
		errs = append(errs, a.Close())
	}
	return errors.Join(append(errs, s.group.Close())...)
}

// Addrs returns the first n servers' addresses.
func (s *Servers) Addrs(n int) []string { return s.group.Addrs()[:n] }

// String says how many servers there are and which.
func (s *Servers) String() string { return s.group.String() }

// Version is what the servers call themselves.
func (s *Servers) Version() string { return s.group.Servers()[0].Version() }

// hang stops the i-th server without closing its connections, until resume.
func (s *Servers) hang(ctx context.Context, i int) (resume func() error, err error) {
	server := s.group.Servers()[i]
	if err := server.Pause(ctx); err != nil {
		return nil, err
	}
	return func() error { return server.Resume(context.WithoutCancel(ctx)) }, nil
}

// cpu returns the processor time, in user and kernel mode, that the first n servers
// have used so far.
func (s *Servers) cpu(ctx context.Context, n int) (time.Duration, error) {
	var sum time.Duration
	for _, a := range s.admins[:n] {
		info, err := a.Info(ctx, "cpu").Result()
		if err != nil {
			return 0, err
		}
		for _, field := range []string{"used_cpu_sys:", "used_cpu_user:"} {
			_, rest, ok := strings.Cut(info, "\n"+field)
			number, _, _ := strings.Cut(rest, "\r")
			seconds, err := strconv.ParseFloat(number, 64)
			if !ok || err != nil {
				return 0, fmt.Errorf("bench: no %s in INFO cpu: %q", field, info)
			}
			sum += time.Duration(seconds * float64(time.Second))
		}
	}
	return sum, nil
}

// empty deletes all keys.
func (s *Servers) empty(ctx context.Context) error {
	var errs []error
	for _, a := range s.admins {
		errs = append(errs, a.FlushAll(ctx).Err())
	}
	return errors.Join(errs...)
}
