package redistest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// A Sentinel is a primary with two replicas and the three sentinels that watch
// them. A primary that does not answer for a second is failed over.
type Sentinel struct {
	data      *Group // the first one is the primary at the start
	sentinels *Group
}

// masterName is what the sentinels call the primary.
const masterName = "redlatch"

// OpenSentinel is [StartSentinel] outside tests. The caller closes it.
func OpenSentinel(ctx context.Context, cfg *Config) (*Sentinel, error) {
	data, err := prepare(ctx, request{n: 6, topology: "sentinel"}, cfg)
	if err != nil {
		return nil, err
	}
	s := &Sentinel{data: data, sentinels: &Group{kind: data.kind, topology: "sentinels"}}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sentinel) start(ctx context.Context, cfg *Config) error {
	if cfg == nil {
		cfg = &Config{}
	}
	announce := func(spec *spec) {
		spec.args = append([]string{
			"--replica-announce-ip", "127.0.0.1", "--replica-announce-port", fmt.Sprint(spec.port),
			"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
		}, spec.args...)
	}
	err := s.data.start(ctx, 1, cfg, func(_ int, spec *spec) error {
		announce(spec)
		return nil
	})
	if err != nil {
		return err
	}
	primary := s.data.servers[0].spec.port
	err = s.data.start(ctx, 2, cfg, func(_ int, spec *spec) error {
		announce(spec)
		spec.args = append([]string{"--replicaof", "127.0.0.1 " + fmt.Sprint(primary)}, spec.args...)
		return nil
	})
	if err != nil {
		return err
	}
	// The sentinels learn of the replicas from the primary, at once if they are
	// there already and after ten seconds if not.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, replica := range s.data.servers[1:] {
		err := until(ctx, func() error {
			fields, err := info(ctx, answered, replica.Addr(), "replication")
			if err == nil && fields["master_link_status"] != "up" {
				err = fmt.Errorf("%s is not in sync yet", replica.Addr())
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	err = s.sentinels.start(ctx, 3, &Config{Image: cfg.Image}, func(_ int, spec *spec) error {
		spec.sentinel = sentinelConf(spec.port, primary)
		return nil
	})
	if err != nil {
		return err
	}
	for _, sentinel := range s.sentinels.servers {
		// Every ten seconds is what they do by themselves; that is how long an old
		// primary that is back would stay one. And a sentinel that has stood still for
		// two seconds would mistrust its clock and fail nothing over for thirty.
		if _, err := call(ctx, sentinel.Addr(), "SENTINEL", "DEBUG", "INFO-PERIOD", "1000",
			"TILT-TRIGGER", "60000", "TILT-PERIOD", "1000"); err != nil {
			return err
		}
		if err := until(ctx, func() error { return watching(ctx, sentinel.Addr()) }); err != nil {
			return fmt.Errorf("redistest: sentinel %s: %w", sentinel.Addr(), err)
		}
	}
	return nil
}

func sentinelConf(port, primary int) string {
	id := make([]byte, 20)
	rand.Read(id)
	return strings.Join([]string{
		"bind 127.0.0.1",
		fmt.Sprintf("port %d", port),
		"dir .",
		"sentinel myid " + hex.EncodeToString(id),
		"sentinel announce-ip 127.0.0.1",
		fmt.Sprintf("sentinel announce-port %d", port),
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", masterName, primary),
		"sentinel down-after-milliseconds " + masterName + " 1000",
		"sentinel failover-timeout " + masterName + " 3000",
		"sentinel parallel-syncs " + masterName + " 2",
		"",
	}, "\n")
}

// watching reports why the sentinel could not yet lead a failover.
func watching(ctx context.Context, addr string) error {
	reply, err := call(ctx, addr, "SENTINEL", "MASTER", masterName)
	if err != nil {
		return err
	}
	list, _ := reply.([]any)
	state := make(map[any]any)
	for i := 0; i+1 < len(list); i += 2 {
		state[list[i]] = list[i+1]
	}
	if state["flags"] != "master" || state["num-slaves"] != "2" || state["num-other-sentinels"] != "2" {
		return fmt.Errorf("flags %v, %v of 2 replicas, %v of 2 other sentinels",
			state["flags"], state["num-slaves"], state["num-other-sentinels"])
	}
	_, err = call(ctx, addr, "SENTINEL", "CKQUORUM", masterName)
	return err
}

// Kind says where the servers come from.
func (s *Sentinel) Kind() Kind { return s.data.kind }

// Name is the name under which the sentinels know the primary.
func (s *Sentinel) Name() string { return masterName }

// Addrs returns the addresses of the three sentinels.
func (s *Sentinel) Addrs() []string { return s.sentinels.Addrs() }

// Sentinels returns the three sentinels. The caller must not change the slice.
func (s *Sentinel) Sentinels() []*Server { return s.sentinels.servers }

// Servers returns the three data servers, the first primary first, whatever their
// role is by now. The caller must not change the slice.
func (s *Sentinel) Servers() []*Server { return s.data.servers }

// Primary returns the server that all sentinels that answer take for the
// primary, and that takes itself for it; an error if there is none at the moment.
func (s *Sentinel) Primary(ctx context.Context) (*Server, error) {
	return s.primary(ctx, answered)
}

// primary is Primary with a limit for each answer.
func (s *Sentinel) primary(ctx context.Context, limit time.Duration) (*Server, error) {
	var found string
	for _, sentinel := range s.sentinels.servers {
		reply, err := callWithin(ctx, limit, sentinel.Addr(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)
		if err != nil {
			continue
		}
		pair, _ := reply.([]any)
		if len(pair) != 2 {
			return nil, fmt.Errorf("redistest: sentinel %s knows no primary", sentinel.Addr())
		}
		addr := net.JoinHostPort(fmt.Sprint(pair[0]), fmt.Sprint(pair[1]))
		if found != "" && found != addr {
			return nil, fmt.Errorf("redistest: the sentinels disagree: %s, %s", found, addr)
		}
		found = addr
	}
	i := slices.IndexFunc(s.data.servers, func(d *Server) bool { return d.Addr() == found })
	if i < 0 {
		return nil, fmt.Errorf("redistest: no sentinel knows a primary of ours: %q", found)
	}
	fields, err := info(ctx, limit, found, "replication")
	if err == nil && fields["role"] != "master" {
		err = fmt.Errorf("redistest: %s is not a primary but a %s", found, fields["role"])
	}
	if err != nil {
		return nil, err
	}
	return s.data.servers[i], nil
}

// Failover kills the primary and returns the new one once the failover is over:
// all sentinels name it and it takes writes. It takes two to ten seconds. The old
// primary stays down; after its Restart the sentinels make it a replica.
func (s *Sentinel) Failover(ctx context.Context) (*Server, error) {
	old, err := s.Primary(ctx)
	if err != nil {
		return nil, err
	}
	if err := old.Kill(ctx); err != nil {
		return nil, err
	}
	return s.Await(ctx, old)
}

// Await waits, for 60 s at most, until another server than old is the primary.
func (s *Sentinel) Await(ctx context.Context, old *Server) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var primary *Server
	err := until(ctx, func() error {
		now, err := s.primary(ctx, retried)
		if err == nil && now == old {
			err = fmt.Errorf("redistest: %s is still the primary", old.Addr())
		}
		primary = now
		return err
	})
	if err != nil {
		return nil, err
	}
	return primary, nil
}

// Close ends all servers and removes their data. It may be called again.
func (s *Sentinel) Close() error {
	return errors.Join(s.sentinels.Close(), s.data.Close())
}
