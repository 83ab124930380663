//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/conformance/redistest"
)

// A Config says what to run. The zero value of a field means its default.
type Config struct {
	// For is the time with faults, over all rounds. Default: 1 min.
	For time.Duration

	// Round is the longest time with faults of one round. Default: 2 min.
	Round time.Duration

	// Seed is what faults and workers are drawn from. Default: random.
	Seed uint64

	// Nodes are the numbers of servers, one for each round by turns. Default: 3 and 5.
	Nodes []int

	// Images are the servers, by turns. Default: Redis 7.0, Redis 8.0, Valkey 8.1.
	Images []redistest.Image

	// Adapters are what the workers use, one for each worker. Default: two of each.
	Adapters []string

	// Callers is how many goroutines of each worker take locks. Default: 4.
	Callers int

	// Expiry is that of the locks; some workers use one that is up to half as long
	// again. Default: 1.5 s.
	Expiry time.Duration

	// KillWorkers limits the faults to killing and restarting one of the workers about
	// this often. Default: 0, all faults.
	KillWorkers time.Duration

	// Forget limits the faults to the loss of all servers' data, again and again: it
	// breaks an assumption of the locks, to show that the judge sees what follows.
	Forget bool

	// Guard limits the faults to killing single servers that have no persistence and
	// come back empty, and is the RestartGuard of the locks. Default: 0, no guard.
	Guard time.Duration

	// Log, if not nil, is told how the run goes on.
	Log func(format string, args ...any)
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&c.For, time.Minute)
	set(&c.Round, 2*time.Minute)
	set(&c.Expiry, 1500*ms)
	for c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	if len(c.Nodes) == 0 {
		c.Nodes = []int{3, 5}
	}
	if len(c.Images) == 0 {
		c.Images = []redistest.Image{redistest.Redis70, redistest.Redis80, redistest.Valkey81}
	}
	if len(c.Adapters) == 0 {
		c.Adapters = []string{GoRedis, Redigo, Rueidis, GoRedis, Redigo, Rueidis}
	}
	if c.Callers == 0 {
		c.Callers = 4
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return c
}

// Run runs the rounds and returns what came of them. The error says that the run could
// not be made, because the machine failed; of a long run one round in five may fail so and
// is left out. What the locks did wrong is in the report. ctx ends the run early.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg = cfg.withDefaults()
	rounds := max(int((cfg.For+cfg.Round-1)/cfg.Round), len(cfg.Nodes))
	total := newReport(cfg)
	cfg.Log("seed %d, %d rounds of %v with faults", cfg.Seed, rounds, cfg.For/time.Duration(rounds))
	for i := range rounds {
		began := time.Now()
		r, err := runRound(ctx, cfg, i, cfg.For/time.Duration(rounds))
		if err != nil {
			err = fmt.Errorf("round %d, seed %d: %w", i+1, cfg.Seed, err)
			if ctx.Err() != nil || len(total.GivenUp) >= rounds/5 {
				return total, err
			}
			cfg.Log("given up: %v", err)
			total.GivenUp = append(total.GivenUp, err)
			if r != nil {
				total.Violations = append(total.Violations, r.violations...)
				r.tell()
			}
			continue
		}
		total.add(r, time.Since(began))
		cfg.Log("round %d of %d (%d nodes): %s", i+1, rounds, len(r.servers), r.summary())
		r.tell()
	}
	return total, nil
}

// tell logs the violations of a round.
func (r *round) tell() {
	for _, v := range r.violations {
		r.cfg.Log("%v", v)
	}
}

// The bounds in calm. Nothing is left of the faults once every lease and ticket of the
// dead has ended; then waiting is a matter of milliseconds, but for a busy machine. One
// on which a server takes longer than slow for a PING says nothing about the locks: at
// twice that, calls fail.
const (
	observed = 6 * time.Second // of calm
	maxWait  = 5 * time.Second
	maxIdle  = 2 * time.Second
	slow     = 250 * time.Millisecond
)

// settle is how long the after-effects of faults may last: a ticket lives for up to three
// polls of 2.4 s, and the guard counts in whole seconds.
func (c Config) settle() time.Duration {
	d := 7500*time.Millisecond + c.Expiry*3/2
	if c.Guard > 0 {
		d += c.Guard + time.Second
	}
	return d
}

func runRound(ctx context.Context, cfg Config, i int, faulty time.Duration) (*round, error) {
	r := newRound(cfg, i)
	if err := r.open(ctx, cfg.Nodes[i%len(cfg.Nodes)]); err != nil {
		return nil, errors.Join(err, r.close())
	}
	defer func() {
		if err := r.close(); err != nil {
			r.fail(err)
		}
	}()
	if err := r.suffer(ctx, faulty); err != nil {
		return r, err
	}

	quiet := r.clock.time(r.clock.now()).Add(cfg.settle())
	for _, p := range r.workers {
		p.order(order{Kind: calm})
	}
	r.watch(ctx, cfg.settle()+observed)
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	rules := &checker.Rules{Calm: quiet, Until: r.clock.time(r.clock.now())}
	if r.worst <= slow {
		rules.MaxWait, rules.MaxIdle = maxWait, maxIdle
	}
	r.finish()
	r.countDropped()
	r.judge(rules)

	for j, s := range r.servers {
		left, err := leftOn(ctx, s.Addr(), cfg.settle())
		if err != nil {
			return r, err
		}
		if left != "" {
			r.fail(fmt.Errorf("chaos: left on server %d (%s): %s", j, s.Version(), left))
		}
	}
	return r, nil
}
