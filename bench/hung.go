package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Phases are the steps in the life of a lock on several nodes.
type Phases struct{ Lock, Extend, Release time.Duration }

// A phased client times the steps.
type phased interface {
	Client
	// phases locks name, extends it once and releases it. before is called before each
	// step: 0, 1 and 2.
	phases(ctx context.Context, name string, before func(step int)) (Phases, error)
}

// Hung is what the steps take, p50, with all nodes and with one that hangs: it accepts
// connections and does not answer.
type Hung struct {
	Contender Contender
	All, One  Phases
}

// Patience is how long a step may take with a hung node. Then the node goes on, since
// some clients would wait for it for ever.
const Patience = 5 * time.Second

// MeasureHung times the steps on n nodes, in turns with all of them and with the hung-th
// hanging. A contender that takes long then is timed once for each step.
func MeasureHung(ctx context.Context, s *Servers, n, hung int, c Contender, open func(addrs []string) (Client, error), rounds, turns int) (_ Hung, err error) {
	h := Hung{Contender: c}
	client, err := open(s.Addrs(n))
	if err != nil {
		return h, fmt.Errorf("%v: %w", c, err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	p, ok := client.(phased)
	if !ok {
		return h, fmt.Errorf("bench: %v has no steps to time", c)
	}
	idle := func(int) {}
	if _, err := times(ctx, p, 10, "hung:warm", idle); err != nil {
		return h, fmt.Errorf("%v: %w", c, err)
	}
	slow, err := s.stepsHung(ctx, hung, p)
	if err != nil {
		return h, fmt.Errorf("%v, with a hung node: %w", c, err)
	}
	var all, one []Phases
	for turn := range turns {
		got, err := times(ctx, p, rounds, fmt.Sprintf("hung:%d:all", turn), idle)
		if err != nil {
			return h, fmt.Errorf("%v: %w", c, err)
		}
		all = append(all, got...)
		if max(slow.Lock, slow.Extend, slow.Release) > time.Second {
			one = []Phases{slow}
			continue
		}
		resume, err := s.hang(ctx, hung)
		if err != nil {
			return h, err
		}
		got, err = times(ctx, p, rounds, fmt.Sprintf("hung:%d:one", turn), idle)
		if err := errors.Join(err, resume()); err != nil {
			return h, fmt.Errorf("%v, with a hung node: %w", c, err)
		}
		one = append(one, got...)
	}
	h.All, h.One = median(all), median(one)
	return h, nil
}

// times goes through the steps as often, each time with another name.
func times(ctx context.Context, p phased, rounds int, name string, before func(int)) ([]Phases, error) {
	all := make([]Phases, rounds)
	for i := range all {
		var err error
		if all[i], err = p.phases(ctx, fmt.Sprintf("%s:%d", name, i), before); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// stepsHung times each step once with the i-th node hanging for that step alone, and for
// no longer than the patience.
func (s *Servers) stepsHung(ctx context.Context, i int, p phased) (Phases, error) {
	var slow [3]Phases
	for step := range slow {
		var failed error
		var over *time.Timer
		end := func() {}
		got, err := times(ctx, p, 1, fmt.Sprintf("hung:step:%d", step), func(now int) {
			if now != step {
				end()
				return
			}
			resume, err := s.hang(ctx, i)
			if failed = err; err != nil {
				return
			}
			end = sync.OnceFunc(func() { failed = resume() })
			over = time.AfterFunc(Patience, end)
		})
		if over != nil {
			over.Stop()
		}
		end()
		if err := errors.Join(err, failed); err != nil {
			return Phases{}, err
		}
		slow[step] = got[0]
	}
	return Phases{slow[0].Lock, slow[1].Extend, slow[2].Release}, nil
}

// median is that of each step.
func median(all []Phases) Phases {
	pick := func(step func(Phases) time.Duration) time.Duration {
		values := make([]time.Duration, len(all))
		for i, t := range all {
			values[i] = step(t)
		}
		return Quantile(values, 0.5)
	}
	return Phases{
		Lock:    pick(func(p Phases) time.Duration { return p.Lock }),
		Extend:  pick(func(p Phases) time.Duration { return p.Extend }),
		Release: pick(func(p Phases) time.Duration { return p.Release }),
	}
}
