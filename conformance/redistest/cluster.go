package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// OpenCluster is [StartCluster] outside tests: three primaries, each with a third
// of the slots. The caller closes the group.
func OpenCluster(ctx context.Context, cfg *Config) (*Group, error) {
	const n = 3
	g, err := prepare(ctx, request{n: n, topology: "cluster"}, cfg)
	if err != nil {
		return nil, err
	}
	if err := g.start(ctx, n, cfg, nil); err != nil {
		return nil, err
	}
	if err := form(ctx, g.servers); err != nil {
		return nil, errors.Join(fmt.Errorf("redistest: form the cluster: %w", err), g.Close())
	}
	return g, nil
}

// form makes a cluster of servers and waits until each of them serves.
func form(ctx context.Context, servers []*Server) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	n := len(servers)
	for i, s := range servers {
		first, last := i*slots/n, (i+1)*slots/n-1
		commands := [][]string{
			// Different epochs from the start: equal ones cost a round of elections.
			{"CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i + 1)},
			{"CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(first), fmt.Sprint(last)},
		}
		if i > 0 {
			commands = append(commands, []string{"CLUSTER", "MEET", "127.0.0.1",
				fmt.Sprint(servers[0].spec.port), fmt.Sprint(servers[0].spec.bus)})
		}
		for _, command := range commands {
			if _, err := call(ctx, s.Addr(), command...); err != nil {
				return err
			}
		}
	}
	for _, s := range servers {
		if err := until(ctx, func() error { return serving(ctx, s.Addr(), servers) }); err != nil {
			return err
		}
	}
	return nil
}

// serving reports why the node at addr does not yet know the whole cluster.
func serving(ctx context.Context, addr string, servers []*Server) error {
	reply, err := call(ctx, addr, "CLUSTER", "SLOTS")
	if err != nil {
		return err
	}
	ranges, _ := reply.([]any)
	missing := make(map[string]bool)
	for _, s := range servers {
		missing[s.Addr()] = true
	}
	for _, r := range ranges {
		// first slot, last slot, [host, port, ...]
		entry, _ := r.([]any)
		if len(entry) < 3 {
			return fmt.Errorf("%s: slots %v", addr, r)
		}
		primary, _ := entry[2].([]any)
		if len(primary) < 2 {
			return fmt.Errorf("%s: slots %v", addr, r)
		}
		delete(missing, net.JoinHostPort(fmt.Sprint(primary[0]), fmt.Sprint(primary[1])))
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s does not know %v yet", addr, missing)
	}
	fields, err := call(ctx, addr, "CLUSTER", "INFO")
	if err != nil {
		return err
	}
	state := parseInfo(fields)
	if state["cluster_state"] != "ok" || state["cluster_slots_ok"] != fmt.Sprint(slots) {
		return fmt.Errorf("%s: cluster_state %s, %s slots", addr, state["cluster_state"], state["cluster_slots_ok"])
	}
	return nil
}
