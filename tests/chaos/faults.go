//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/redlatch/redlatch/internal/proxy"
)

// A fault breaks something and mends it again.
type fault struct {
	name      string
	odds      int           // against the other faults of the victim
	low, high time.Duration // how long it lasts
	begin     func(ctx context.Context) error
	end       func(ctx context.Context) error
}

// errNotYet says that a fault has not happened, and needs no end: there was nothing to
// break, or it is armed, see countDropped.
var errNotYet = errors.New("chaos: the fault has not happened yet")

// replyDropped is the fault that the proxies count.
const replyDropped = "reply dropped"

// together marks the faults of several servers at once.
const together = "together: "

// A victim has one of its faults after another, with times without in between. What
// happens to it, and when, is drawn from a source of its own, so that it depends on
// the seed alone.
type victim struct {
	name   string
	sound  time.Duration // about the time without a fault, at most half as long again
	faults []fault
}

// suffer runs until ctx ends, and then mends what is broken.
func (v *victim) suffer(ctx context.Context, r *round) {
	key := fnv.New64a()
	_, _ = key.Write([]byte(v.name))
	dice := rand.New(rand.NewPCG(r.seed, key.Sum64()))
	odds := 0
	for _, f := range v.faults {
		odds += f.odds
	}
	for sleep(ctx, time.Duration(min(dice.ExpFloat64(), 1.5)*float64(v.sound))) {
		n, i := dice.IntN(odds), 0
		for ; n >= v.faults[i].odds; i++ {
			n -= v.faults[i].odds
		}
		f := v.faults[i]
		length := f.low + time.Duration(dice.Int64N(int64(f.high-f.low)+1))
		// Once begun it is ended, also when time is up.
		whole := context.WithoutCancel(ctx)
		err := f.begin(whole)
		if errors.Is(err, errNotYet) {
			continue
		}
		if err == nil {
			r.injected(f.name)
			sleep(ctx, length)
			err = f.end(whole)
		}
		if err != nil {
			r.abort(fmt.Errorf("chaos: %s of %s: %w", f.name, v.name, err))
			return
		}
	}
}

// sleep reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

const ms = time.Millisecond

// serverVictim pauses and kills one server.
func serverVictim(i int, s *server, sound time.Duration) *victim {
	return &victim{name: fmt.Sprintf("server %d", i), sound: sound, faults: []fault{
		{"server paused", 3, 50 * ms, 3000 * ms, s.breakBy(s.Pause), s.mendBy(s.Resume)},
		{"server killed and restarted", 2, 0, 3000 * ms, s.breakBy(s.Kill), s.mendBy(s.Restart)},
	}}
}

// forgetVictim empties all servers at once, as a crash without persistence does.
func forgetVictim(servers []*server, sound time.Duration) *victim {
	empty := func(ctx context.Context) error {
		errs := make([]error, len(servers))
		var wg sync.WaitGroup
		for i, s := range servers {
			wg.Go(func() { errs[i] = s.empty(ctx) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	none := func(context.Context) error { return nil }
	return &victim{name: "servers", sound: sound, faults: []fault{{"servers emptied", 1, 0, 0, empty, none}}}
}

// guardedVictim kills servers by turns, which come back empty.
func guardedVictim(servers []*server, sound time.Duration) *victim {
	v := &victim{name: "servers", sound: sound}
	for _, s := range servers {
		v.faults = append(v.faults, fault{
			"server killed and restarted without its data", 1, 0, 100 * ms, s.breakBy(s.Kill), s.mendBy(s.RestartEmpty),
		})
	}
	return v
}

// outageVictim pauses and kills several servers at once, as many as may fail, a
// majority, or all of them.
func outageVictim(servers []*server, sound time.Duration) *victim {
	v := &victim{name: "servers", sound: sound}
	for _, of := range []struct {
		name string
		some []*server
	}{
		{"a minority", servers[:(len(servers)-1)/2]}, {"a majority", servers[len(servers)/2:]}, {"all", servers},
	} {
		each := func(f func(*server) func(context.Context) error) func(context.Context) error {
			return func(ctx context.Context) error {
				for _, s := range of.some {
					if err := f(s)(ctx); err != nil {
						return err
					}
				}
				return nil
			}
		}
		v.faults = append(v.faults,
			fault{"servers paused " + together + of.name, 1, 100 * ms, 3000 * ms,
				each(func(s *server) func(context.Context) error { return s.breakBy(s.Pause) }),
				each(func(s *server) func(context.Context) error { return s.mendBy(s.Resume) })},
			fault{"servers killed and restarted " + together + of.name, 1, 0, 1500 * ms,
				each(func(s *server) func(context.Context) error { return s.breakBy(s.Kill) }),
				each(func(s *server) func(context.Context) error { return s.mendBy(s.Restart) })})
	}
	return v
}

// linkVictim breaks the way between one worker and one server.
func linkVictim(worker string, i int, p *proxy.Proxy, sound time.Duration) *victim {
	do := func(steps ...func()) func(context.Context) error {
		return func(context.Context) error {
			for _, step := range steps {
				step()
			}
			return nil
		}
	}
	stall := func(d proxy.Direction) func() { return func() { p.Stall(d) } }
	delay := func(d time.Duration) func() { return func() { p.Delay(d) } }
	cut := func() { p.Cut() }
	cutSome := func(context.Context) error {
		if p.Cut() == 0 {
			return errNotYet
		}
		return nil
	}
	dropNext := func(context.Context) error {
		p.DropReply()
		return errNotYet
	}
	none := do()
	return &victim{name: fmt.Sprintf("link of %s to server %d", worker, i), sound: sound, faults: []fault{
		{"link cut", 2, 0, 0, cutSome, none},
		{"link refused", 1, 20 * ms, 2000 * ms, do(p.Refuse, cut), do(p.Accept)},
		{"link silent", 2, 20 * ms, 2500 * ms, do(stall(proxy.Both)), do(p.Resume)},
		{"link silent, then cut", 1, 20 * ms, 2500 * ms, do(stall(proxy.Both)), do(cut, p.Resume)},
		{"requests held back", 1, 20 * ms, 2500 * ms, do(stall(proxy.Requests)), do(p.Resume)},
		{"replies held back", 1, 20 * ms, 2500 * ms, do(stall(proxy.Replies)), do(p.Resume)},
		{"replies delayed", 2, 100 * ms, 3000 * ms, do(delay(60 * ms)), do(delay(0))},
		{replyDropped, 3, 0, 0, dropNext, none},
		{"requests delivered twice", 2, 100 * ms, 2000 * ms, do(func() { p.Duplicate(true) }), do(func() { p.Duplicate(false) })},
	}}
}

// partitionVictim cuts a worker off from a majority of the servers, or from all, so that
// it loses what it holds while the others go on.
func partitionVictim(worker string, links []*proxy.Proxy, sound time.Duration) *victim {
	each := func(some []*proxy.Proxy, f func(*proxy.Proxy)) func(context.Context) error {
		return func(context.Context) error {
			for _, p := range some {
				f(p)
			}
			return nil
		}
	}
	silence := func(p *proxy.Proxy) { p.Stall(proxy.Both) }
	most := links[:len(links)/2+1]
	return &victim{name: "links of " + worker, sound: sound, faults: []fault{
		{"worker cut off from a majority", 1, 200 * ms, 4000 * ms, each(most, silence), each(most, (*proxy.Proxy).Resume)},
		{"worker cut off from all", 1, 200 * ms, 4000 * ms, each(links, silence), each(links, (*proxy.Proxy).Resume)},
	}}
}

// workerVictim kills a worker, which a new one replaces, or stops it for a while.
func workerVictim(p *process, sound time.Duration) *victim {
	return &victim{name: p.name, sound: sound, faults: []fault{killed(p), {
		"worker stopped", 2, 50 * ms, 5000 * ms,
		func(context.Context) error { return p.signal(syscall.SIGSTOP) },
		func(context.Context) error { return p.signal(syscall.SIGCONT) },
	}}}
}

// fleetVictim kills the workers by turns.
func fleetVictim(workers []*process, sound time.Duration) *victim {
	v := &victim{name: "workers", sound: sound}
	for _, p := range workers {
		v.faults = append(v.faults, killed(p))
	}
	return v
}

func killed(p *process) fault {
	return fault{
		"worker killed and restarted", 1, 0, 500 * ms,
		func(context.Context) error { return p.kill() },
		func(context.Context) error { return p.start() },
	}
}
