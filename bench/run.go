package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Results are those of one run.
type Results struct {
	Date        time.Time
	Machine     string
	Server      string
	Uncontended []Uncontended // on one node
	Single      []Uncontended // on one node, the client on one processor
	Majority    []Uncontended // on five nodes
	Throughput  []Throughput
	HandOvers   []HandOver // short holds
	Long        []HandOver // long holds
	Crowd       []HandOver // goroutines of one process, and of two
	Hung        []Hung
	Held        []Held
}

// What a contest of the main table is made of.
const (
	ShortHold = time.Millisecond
	LongHold  = 100 * time.Millisecond
	Pause     = 10 * time.Millisecond
	nodes     = 5
	stepLimit = 8 * time.Minute // a contender that hangs ends the run
)

// Run measures everything. short takes a few seconds in all and is good for nothing but
// to see that it works. say is told what is being measured. With an error come the results
// so far, if there are any.
func Run(ctx context.Context, short bool, say func(string)) (_ *Results, err error) {
	s, err := Open(ctx, nodes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r := &Results{
		Date:    time.Now().UTC(),
		Machine: fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		Server:  s.Version(),
	}
	p := plan{1, 1}
	if short {
		p = plan{50, 8}
	}
	for _, step := range []struct {
		name string
		run  func(context.Context, *Servers, plan) error
	}{
		{"lock and unlock of a free name", r.uncontended},
		{"throughput on distinct names", r.throughput},
		{"one of five nodes hanging", r.hung},
		{"hand-over under contention", r.handOver},
		{"hand-over after long holds", r.long},
		{"hand-over within one process", r.crowd},
		{"held leases", r.held},
	} {
		say(step.name)
		bounded, cancel := context.WithTimeout(ctx, stepLimit)
		err := errors.Join(step.run(bounded, s, p), s.empty(ctx))
		cancel()
		if err != nil {
			return r, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return r, nil
}

// plan divides counts and times.
type plan struct{ count, time int }

func (p plan) n(n int) int { return max(n/p.count, 2) }

func (p plan) d(d time.Duration) time.Duration { return d / time.Duration(p.time) }

func (r *Results) uncontended(ctx context.Context, s *Servers, p plan) (err error) {
	all := Contenders()
	if r.Uncontended, err = MeasureUncontended(ctx, s, 1, all, p.n(20000), 30*time.Second); err != nil {
		return err
	}
	processors := runtime.GOMAXPROCS(1)
	r.Single, err = MeasureUncontended(ctx, s, 1, all, p.n(20000), 30*time.Second)
	runtime.GOMAXPROCS(processors)
	if err != nil {
		return err
	}
	several := Select(all, func(c Contender) bool { return c.Nodes })
	r.Majority, err = MeasureUncontended(ctx, s, nodes, several, p.n(5000), 30*time.Second)
	return err
}

func (r *Results) throughput(ctx context.Context, s *Servers, p plan) (err error) {
	r.Throughput, err = MeasureThroughput(ctx, s, Contenders(), 64, p.d(time.Second))
	return err
}

func (r *Results) hung(ctx context.Context, s *Servers, p plan) error {
	opens := map[string]func([]string) (Client, error){
		Redlatch + GoRedis: dialExtension(goRedisNode),
		Redlatch + Redigo:  dialExtension(redigoNode),
		Redlatch + Rueidis: dialExtension(rueidisNode),
	}
	for _, c := range Select(Contenders(), func(c Contender) bool { return c.Nodes }) {
		open := opens[c.Library+c.Driver]
		if open == nil {
			open = func(addrs []string) (Client, error) { return c.Dial(addrs, nil) }
		}
		h, err := MeasureHung(ctx, s, nodes, nodes-1, c, open, p.n(100), p.n(4))
		if err != nil {
			return err
		}
		r.Hung = append(r.Hung, h)
	}
	return nil
}

func (r *Results) handOver(ctx context.Context, s *Servers, p plan) error {
	waiting := Select(Contenders(), func(c Contender) bool { return c.Waits })
	for i, clients := range []int{2, 8, 50, 200} {
		length := 4 * time.Second
		if clients == 50 {
			length = 10 * time.Second // for the spread of grants
		}
		for turn := range waiting {
			c := waiting[(turn+i)%len(waiting)]
			h, err := MeasureHandOver(ctx, s, c, Contest{Clients: clients, Hold: ShortHold, Pause: Pause, For: p.d(length)})
			if err != nil {
				return err
			}
			r.HandOvers = append(r.HandOvers, h)
		}
	}
	return nil
}

func (r *Results) long(ctx context.Context, s *Servers, p plan) error {
	for _, c := range Select(Contenders(), ours) {
		for _, clients := range []int{8, 50, 200} {
			h, err := MeasureHandOver(ctx, s, c, Contest{Clients: clients, Hold: p.d(LongHold), Pause: Pause, For: p.d(10 * time.Second)})
			if err != nil {
				return err
			}
			r.Long = append(r.Long, h)
		}
	}
	return nil
}

func (r *Results) crowd(ctx context.Context, s *Servers, p plan) error {
	for _, c := range Select(Contenders(), ours) {
		for _, contest := range []Contest{{Clients: 2}, {Clients: 1, Each: 1000}} {
			contest.Hold, contest.For = ShortHold, p.d(4*time.Second)
			h, err := MeasureHandOver(ctx, s, c, contest)
			if err != nil {
				return err
			}
			r.Crowd = append(r.Crowd, h)
		}
	}
	return nil
}

func (r *Results) held(ctx context.Context, s *Servers, p plan) error {
	for _, c := range Select(Contenders(), func(c Contender) bool { return ours(c) || c.Library == "rueidislock" }) {
		h, err := MeasureHeld(ctx, s, c, p.n(10000), p.d(20*time.Second))
		if err != nil {
			return err
		}
		r.Held = append(r.Held, h)
	}
	return nil
}

func ours(c Contender) bool { return c.Library == Redlatch }
