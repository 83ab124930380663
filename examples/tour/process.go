package main

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/examples/internal/embedded"
)

// A process stands for a program on a machine of its own: it shares nothing with the
// others but the servers, to which it has its own connections.
type process struct {
	name    string
	clients []*redis.Client
	locks   *redlatch.Provider
}

// What go-redis logs of the servers that the tour kills would be in the way.
func init() { redis.SetLogger(silent{}) }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func start(name string, servers []*embedded.Server) (*process, error) {
	p := &process{name: name}
	var nodes []redlatch.Scripter
	for _, s := range servers {
		client := redis.NewClient(&redis.Options{
			Addr: s.Addr(), ContextTimeoutEnabled: true,
			DialerRetries: 1, MaxRetries: -1, // redlatch tries again by itself, and knows until when
		})
		p.clients = append(p.clients, client)
		nodes = append(nodes, goredis.New(client))
	}
	var err error
	p.locks, err = redlatch.New(options, nodes...)
	return p, err
}

// crash cuts the process off: from now on nothing that it sends reaches a server.
func (p *process) crash() {
	for _, c := range p.clients {
		_ = c.Close()
	}
}

// stop ends the process in good order.
func (p *process) stop() error {
	err := p.locks.Close()
	for _, c := range p.clients {
		err = errors.Join(err, c.Close())
	}
	return err
}

// together starts a process for each name, runs work in all of them at the same time,
// and stops them.
func together(servers []*embedded.Server, names []string, work func(i int, p *process) error) error {
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			p, err := start(name, servers)
			if err != nil {
				errs[i] = err
				return
			}
			errs[i] = errors.Join(work(i, p), p.stop())
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
