package exclusion_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
)

// trips counts grants by what they took.
type trips struct {
	grants  atomic.Int64 // beyond each client's first
	noWrite atomic.Int64 // the token was not written back
	one     atomic.Int64 // and no node was asked twice
}

// count looks at the calls of one client that led to a grant.
func (tr *trips) count(spies []*spy, first bool) {
	var calls []spied
	asked := 0 // acquire calls
	var last spied
	for _, s := range spies {
		for _, c := range s.recorded() {
			calls = append(calls, c)
			if c.verb == "acquire" {
				asked++
				if c.from.After(last.from) {
					last = c // of the attempt that was granted
				}
			}
		}
	}
	if first {
		return
	}
	tr.grants.Add(1)
	for _, c := range calls {
		if c.verb == "extend" && c.owner == last.owner {
			return
		}
	}
	tr.noWrite.Add(1)
	for _, c := range calls {
		if c.verb == "acquire" && c.owner != last.owner {
			return
		}
	}
	if asked <= len(spies) {
		tr.one.Add(1)
	}
}

// Tokens rise over 4,000 grants to 16 clients whose clocks are up to an hour apart, while
// one node at a time is killed and comes back with its data.
func TestFencing(t *testing.T) {
	t.Parallel()
	const clients, grants = 16, 4_000
	f := start(t, 3, &redistest.Config{AppendOnly: true})
	redistest.NeedFaults(t, f.servers)
	redistest.NeedReal(t, f.servers)

	h := checker.NewHistory()
	var tr trips
	var granted, restarted atomic.Int64
	// All of both is wanted; of a machine on which a restart takes long, there is a limit.
	goesOn := func() bool {
		n := granted.Load()
		return n < grants || restarted.Load() < 3 && n < 10*grants
	}
	over := make(chan struct{})
	var workers, restarts sync.WaitGroup
	for i := range clients {
		spies, scripters := f.spies(t)
		off := time.Duration(i)*time.Hour/(clients-1) - 30*time.Minute
		l := mutex(t, provider(t, scripters, &core.Options{
			Expiry: 30 * time.Second, MinValidity: 15 * time.Second, MinBusyWait: time.Millisecond, MaxBusyWait: 5 * time.Millisecond,
			Now: func() time.Time { return time.Now().Add(off) },
		}), "fenced")
		workers.Go(func() {
			for n := 0; goesOn(); n++ {
				a := h.Ask(checker.Request{Name: "fenced", Client: fmt.Sprintf("client %d", i), Kind: checker.Exclusive})
				for _, s := range spies {
					s.recorded()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				lease, err := l.Lock(ctx)
				cancel()
				if err != nil {
					a.GaveUp()
					t.Errorf("client %d: Lock: %v", i, err)
					return
				}
				a.Granted(lease)
				granted.Add(1)
				tr.count(spies, n == 0)
				a.Released()
				if err := lease.Release(t.Context()); err != nil {
					t.Errorf("client %d: Release: %v", i, err)
				}
			}
		})
	}

	restarts.Go(func() {
		for ; ; restarted.Add(1) {
			// The others go on meanwhile, and with the node once it is back.
			was := granted.Load()
			for until := was + 300; granted.Load() < until; {
				select {
				case <-over:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
			if err := f.servers[restarted.Load()%3].Restart(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("restart: %v", err)
				return
			}
		}
	})
	began := time.Now()
	workers.Wait()
	close(over)
	restarts.Wait()

	claims := h.Claims()
	if err := checker.Check(claims, nil); err != nil {
		t.Error(err)
	}
	lowest, highest, byClient := int64(0), int64(0), map[string]int{}
	for _, c := range claims {
		if c.Granted.IsZero() {
			continue
		}
		byClient[c.Client]++
		if lowest == 0 || c.Token < lowest {
			lowest = c.Token
		}
		highest = max(highest, c.Token)
	}
	total := tr.grants.Load()
	share := func(n int64) float64 { return 100 * float64(n) / float64(max(total, 1)) }
	if share(tr.noWrite.Load()) < 50 {
		t.Errorf("the token was written back for most of the grants: %d of %d were spared", tr.noWrite.Load(), total)
	}
	if n := granted.Load(); n < grants || len(byClient) != clients || restarted.Load() < 3 {
		t.Errorf("%d grants to %d clients, %d restarts; want at least %d, %d and one of each node", n, len(byClient), restarted.Load(), grants, clients)
	}
	// The nodes' clocks count, not the clients'.
	if off := time.Since(time.UnixMicro(highest)).Abs(); off > time.Minute {
		t.Errorf("the highest token is %v off the nodes' clocks", off)
	}
	t.Logf("%d grants in %v, %d restarts", granted.Load(), time.Since(began).Round(time.Millisecond), restarted.Load())
	// Those who stand in line ask the lead first, which is a round trip of its own.
	fmt.Printf("exclusion: fencing under contention: of %d grants after each client's first %.1f %% took no round trip for the token, %.1f %% one round trip in all\n",
		total, share(tr.noWrite.Load()), share(tr.one.Load()))
}

// A token is written back before the lock is held, so that the next holder's is higher
// whatever majority it meets.
func TestFencingAcrossMajorities(t *testing.T) {
	t.Parallel()
	f := start(t, 3, nil)
	const name = "majorities"
	// Each pair of nodes in turn; the third is not there. The counters start far apart.
	for i, c := range f.raw {
		ahead := time.Now().Add(time.Duration(3-i) * time.Hour).UnixMicro()
		if err := c.HSet(t.Context(), "{"+name+"}:mutex:meta", "token", ahead).Err(); err != nil {
			t.Fatal(err)
		}
	}
	ps, addrs := f.proxies(t)
	last := int64(0)
	for round := range 12 {
		out := ps[round%3]
		out.Refuse()
		out.Cut()
		lease := lock(t, mutex(t, f.at(t, addrs, nil), name))
		if lease.Token() <= last {
			t.Errorf("round %d, without node %d: got token %d after %d", round, round%3, lease.Token(), last)
		}
		last = lease.Token()
		release(t, lease)
		if out.Stats().Refused == 0 {
			t.Errorf("round %d: node %d was not missed", round, round%3)
		}
		out.Accept()
	}
}

// A free lock takes one round trip, whatever the clients' clocks show.
func TestFencingOneTrip(t *testing.T) {
	t.Parallel()
	const clients, rounds = 16, 20
	f := start(t, 3, nil)
	var tr trips
	type one struct {
		l     core.Locker
		spies []*spy
	}
	var all []one
	for i := range clients {
		spies, scripters := f.spies(t)
		off := time.Duration(i)*time.Hour/(clients-1) - 30*time.Minute
		opts := patient
		opts.Now = func() time.Time { return time.Now().Add(off) }
		all = append(all, one{mutex(t, provider(t, scripters, &opts), "free"), spies})
	}
	last := int64(0)
	for round := range rounds {
		for i, o := range all {
			for _, s := range o.spies {
				s.recorded()
			}
			lease := lock(t, o.l)
			tr.count(o.spies, round == 0)
			if lease.Token() <= last {
				t.Errorf("client %d: got token %d after %d", i, lease.Token(), last)
			}
			last = lease.Token()
			release(t, lease)
			f.absent(t, "free", soon)
		}
	}
	total, once := tr.grants.Load(), tr.one.Load()
	fmt.Printf("exclusion: fencing of a free lock: %.1f %% of %d grants after each client's first took one round trip\n", 100*float64(once)/float64(total), total)
	if total != clients*(rounds-1) || once < total/2 {
		t.Errorf("%d of %d grants took one round trip, want most", once, total)
	}
}
