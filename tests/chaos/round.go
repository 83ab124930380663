//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/internal/proxy"
)

// A round is one fleet of servers and workers, from its start to its judgement.
type round struct {
	cfg       Config
	seed      uint64
	clock     clock
	servers   []*server
	proxies   [][]*proxy.Proxy // by worker and server
	workers   []*process
	ledger    *ledger
	registers registers
	worst     time.Duration      // that a server took for a PING in the calm
	stop      context.CancelFunc // of the faults

	mu         sync.Mutex
	faults     map[string]int
	violations []error
	broken     error // why the round cannot go on
}

func newRound(cfg Config, i int) *round {
	c := newClock()
	return &round{
		cfg: cfg, seed: cfg.Seed + uint64(i), clock: c,
		ledger: newLedger(c), faults: map[string]int{},
	}
}

// open starts servers, proxies and workers.
func (r *round) open(ctx context.Context, nodes int) error {
	images := make([]redistest.Image, nodes)
	for i := range images {
		images[i] = r.cfg.Images[i%len(r.cfg.Images)]
	}
	var err error
	if r.servers, err = openServers(ctx, images, r.cfg.Guard == 0); err != nil {
		return err
	}
	for i, adapter := range r.cfg.Adapters {
		p := &process{r: r, name: fmt.Sprintf("worker %d (%s)", i, adapter), adapter: adapter}
		var links []*proxy.Proxy
		for _, s := range r.servers {
			link, err := proxy.Start(s.Addr())
			if err != nil {
				return err
			}
			links = append(links, link)
			p.addrs = append(p.addrs, link.Addr())
		}
		r.proxies = append(r.proxies, links)
		r.workers = append(r.workers, p)
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) indexOf(p *process) int { return slices.Index(r.workers, p) }

// suffer breaks things for the time given, and mends all of them.
func (r *round) suffer(ctx context.Context, d time.Duration) error {
	outer := ctx
	ctx, r.stop = context.WithTimeout(ctx, d)
	defer r.stop()
	var wg sync.WaitGroup
	for _, v := range r.victims() {
		r.known(v)
		wg.Go(func() { v.suffer(ctx, r) })
	}
	wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	return outer.Err()
}

// watch waits for d and notes how slow the servers are meanwhile.
func (r *round) watch(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	worst := make([]time.Duration, len(r.servers))
	var wg sync.WaitGroup
	for i, s := range r.servers {
		wg.Go(func() { worst[i] = s.watch(ctx) })
	}
	wg.Wait()
	r.worst = slices.Max(worst)
}

func (r *round) victims() []*victim {
	var all []*victim
	switch {
	case r.cfg.KillWorkers > 0:
		return append(all, fleetVictim(r.workers, r.cfg.KillWorkers))
	case r.cfg.Forget:
		return append(all, forgetVictim(r.servers, 100*ms))
	case r.cfg.Guard > 0:
		return append(all, guardedVictim(r.servers, r.cfg.Guard/2))
	}
	for i, s := range r.servers {
		all = append(all, serverVictim(i, s, 8*time.Second), stateVictim(i, s, 2500*ms))
	}
	all = append(all, outageVictim(r.servers, 25*time.Second))
	for w, p := range r.workers {
		all = append(all, workerVictim(p, 8*time.Second))
		all = append(all, partitionVictim(fmt.Sprint(w), r.proxies[w], 12*time.Second))
		for i, link := range r.proxies[w] {
			all = append(all, linkVictim(fmt.Sprint(w), i, link, 8*time.Second))
		}
	}
	return all
}

// abort ends the faults of a round that cannot go on.
func (r *round) abort(err error) {
	r.mu.Lock()
	r.broken = errors.Join(r.broken, err)
	r.mu.Unlock()
	r.stop()
}

// known enters the victim's faults, so that one that never happens is seen.
func (r *round) known(v *victim) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range v.faults {
		r.faults[f.name] += 0
	}
}

// injected counts a fault that has taken effect.
func (r *round) injected(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[name]++
}

// countDropped counts the replies that the proxies have dropped. Arming a proxy drops
// none, and none comes if no request does.
func (r *round) countDropped() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, links := range r.proxies {
		for _, link := range links {
			if n := link.Stats().Dropped; n > 0 {
				r.faults[replyDropped] += n
			}
		}
	}
}

// fail records what must not have happened.
func (r *round) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, err)
}

// finish ends the workers and waits until all that they said is on record.
func (r *round) finish() {
	var wg sync.WaitGroup
	for _, p := range r.workers {
		wg.Go(func() { p.finish(30 * time.Second) })
	}
	wg.Wait()
}

// judge looks at the claims and the registers.
func (r *round) judge(rules *checker.Rules) {
	if err := checker.Check(r.ledger.all(), rules); err != nil {
		r.fail(err)
	}
	r.registers.mu.Lock()
	defer r.registers.mu.Unlock()
	for _, err := range r.registers.wrong {
		r.fail(err)
	}
	values := int64(0)
	for _, g := range r.registers.of {
		values += g.value
	}
	if values != int64(r.registers.written) {
		r.fail(fmt.Errorf("chaos: the registers add up to %d, %d writes were accepted", values, r.registers.written))
	}
}

// close ends what open has started.
func (r *round) close() error {
	for _, p := range r.workers {
		p.mu.Lock()
		gone := p.gone
		p.mu.Unlock()
		if gone == nil {
			continue
		}
		select {
		case <-gone:
		default:
			_ = p.kill()
		}
	}
	for _, links := range r.proxies {
		for _, link := range links {
			link.Close()
		}
	}
	return closeServers(r.servers)
}
