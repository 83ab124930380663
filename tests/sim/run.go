package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
)

// In the calm locks are held for calmHold at most, so that waits have a bound,
// and workers pause for up to calmPause at least.
const (
	calmHold  = 200 * time.Millisecond
	calmPause = 2 * time.Second
)

// A Result is what a run came to.
type Result struct {
	Err     error  // all violations, joined
	Trace   uint64 // see Cluster.Trace
	Refused int64  // stale writes that the guard kept out
	Passed  int64  // how many times a goroutine let others pass, see Plan.Shuffle
	History *checker.History
	Calm    time.Time // when liveness began to be judged
}

type run struct {
	plan    Plan
	cluster *Cluster
	stats   *Stats
	history *checker.History
	calm    atomic.Bool // no more faults
	settled atomic.Bool // and their after-effects have passed

	registers map[string]*Register
	workers   sync.WaitGroup
	writes    sync.WaitGroup
	closers   []func() error // guarded by mu

	mu   sync.Mutex
	errs []error
}

// Run carries out a plan, in a bubble: a storm, then a calm in which everybody
// must get what they wait for, then a look at what is left on the nodes. The
// figures are added to stats.
func Run(plan Plan, stats *Stats) (res Result, err error) {
	c, err := New(Config{
		Seed: plan.Seed, Nodes: plan.Nodes, Far: plan.Far, ClockSpread: plan.ClockSpread, LosesLast: plan.has(NodeLostLast),
	}, stats)
	if err != nil {
		return Result{}, err
	}
	defer c.Close()
	c.trace.log = plan.Events
	if plan.Shuffle {
		c.shuffle = &shuffle{}
	}
	defer seed(c)()
	r := &run{plan: plan, cluster: c, stats: stats, history: checker.NewHistory(), registers: map[string]*Register{}}

	life, end := context.WithCancel(context.Background())
	defer end()
	for range plan.Clients {
		r.enter(life)
	}
	r.storm(life)
	calm := r.quiet()
	res = Result{Trace: c.Trace(), History: r.history, Calm: calm}
	rules := r.rules(calm)
	r.check(checker.Check(r.claims(), &rules))
	end()
	r.workers.Wait()
	r.writes.Wait()
	for _, closer := range r.closers {
		r.check(closer())
	}
	stats.Virtual.Add(int64(time.Since(c.start)))
	r.leftovers()
	for _, reg := range r.registers {
		res.Refused += reg.Refused()
		r.errs = append(r.errs, reg.Errs()...)
	}
	if c.shuffle != nil {
		res.Passed = c.shuffle.passed.Load()
	}
	res.Err = errors.Join(r.errs...)
	return res, nil
}

// storm lets everything fail for a while and ends when all is mended.
func (r *run) storm(life context.Context) {
	r.cluster.SetFaults(&r.plan.Faults)
	ctx, cancel := context.WithTimeout(life, r.plan.Storm)
	defer cancel()
	w := &chaos{
		plan: r.plan, cluster: r.cluster, rng: rand.New(rand.NewPCG(r.plan.Seed, 1)), stepped: map[*Node]time.Duration{},
		killed: func(cl *Client) {
			cl.end()
			r.enter(life)
		},
	}
	if err := w.run(ctx); err != nil {
		r.fail("the simulation itself failed: %v", err)
	}
	<-ctx.Done()
	r.cluster.SetFaults(nil)
	r.cluster.Heal()
}

// quiet lets the run go on without faults and returns when its after-effects
// had passed: holds of the dead, calls under way, subscriptions that are deaf.
func (r *run) quiet() (calm time.Time) {
	r.calm.Store(true)
	time.Sleep(2*r.plan.Expiry + 30*time.Second)
	calm = time.Now()
	r.settled.Store(true)
	time.Sleep(r.plan.Calm)
	return calm
}

// enter adds a client and starts its workers.
func (r *run) enter(life context.Context) {
	cl := r.cluster.AddClient()
	life, cl.end = context.WithCancel(life)
	if err := r.open(cl); err != nil {
		r.fail("client %d: %v", cl.Index, err)
		return
	}
	if r.plan.NoPush {
		r.stats.Count(NoPush)
	}
	for i := range r.plan.Workers {
		w := &worker{
			run: r, client: cl, life: calledBy(life, i+1),
			rng: rand.New(rand.NewPCG(r.plan.Seed, uint64(cl.Index)<<16+uint64(i)+2)),
		}
		r.workers.Go(w.work)
	}
}

// rules are the bounds that hold in the calm. Nobody is overtaken by those who came a
// second later, but for the few that a request under way lets pass. Without
// subscriptions that is not asked: a hand-over takes a poll, and of a process's waiters
// only the first stands in the queue, so that those behind it are passed by other processes'.
func (r *run) rules(calm time.Time) checker.Rules {
	rules := checker.Rules{Calm: calm, Until: time.Now(), MaxIdle: r.plan.MaxIdle(), MaxWait: r.plan.MaxWait()}
	if !r.plan.NoPush {
		rules.Fairness = &checker.Fairness{MaxOvertakes: 2, Slack: time.Second}
	}
	return rules
}

// claims are what is judged: where slots may vanish, no slot is promised to be one's own.
func (r *run) claims() []checker.Claim {
	claims := r.history.Claims()
	if r.plan.has(SlotsEvicted) && r.plan.Broken == None {
		for i := range claims {
			claims[i].Slot = checker.NoSlot
		}
	}
	return claims
}

// expiry is the Expiry that a client uses.
func (r *run) expiry(cl *Client) time.Duration {
	if r.plan.Mixed && cl.Index%2 == 1 {
		return r.plan.Expiry / 2
	}
	return r.plan.Expiry
}

// register is what the exclusive lock of a name protects.
func (r *run) register(name string) *Register {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.registers[name] == nil {
		r.registers[name] = &Register{name: name}
	}
	return r.registers[name]
}

func (r *run) fail(format string, args ...any) {
	r.check(fmt.Errorf(format, args...))
}

// check notes a violation; the first ones tell the story.
func (r *run) check(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && len(r.errs) < 20 {
		r.errs = append(r.errs, err)
	}
}
