// Package connect gives the examples their locks: on the servers that the flag -redis
// names, or else on an embedded one.
package connect

import (
	"errors"
	"flag"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/examples/internal/embedded"
)

var servers = flag.String("redis", "", "addresses of independent servers, host:port,host:port (default one inside this program)")

// Open returns a provider, and what closes it and its clients.
func Open(opts *redlatch.Options) (locks *redlatch.Provider, end func() error, err error) {
	flag.Parse()
	addrs := strings.Split(*servers, ",")
	var started []*embedded.Server
	if *servers == "" {
		if started, err = embedded.Start(1); err != nil {
			return nil, nil, err
		}
		addrs = []string{started[0].Addr()}
	}
	var clients []*redis.Client
	var nodes []redlatch.Scripter
	for _, addr := range addrs {
		client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		clients, nodes = append(clients, client), append(nodes, goredis.New(client))
	}
	locks, err = redlatch.New(opts, nodes...)
	if err != nil {
		return nil, nil, err
	}
	return locks, func() error {
		err := locks.Close()
		for _, c := range clients {
			err = errors.Join(err, c.Close())
		}
		embedded.Stop(started)
		return err
	}, nil
}
