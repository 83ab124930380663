package sim

import (
	"io"
	"slices"
	"time"
)

// A Plan is all that a seed decides about a run before it starts.
type Plan struct {
	Seed    uint64
	Nodes   int
	Clients int // alive at a time
	Workers int // goroutines of each client
	Names   int // of each sort of lock

	Expiry      time.Duration
	Mixed       bool          // every other client has half that Expiry
	Cadence     time.Duration // 0: the default
	MaxBusyWait time.Duration // 0: the default
	Guard       time.Duration // the restart guard, 0: none
	Far         time.Duration // one-way delay of links at most
	Hold, Pause time.Duration // of workers, at most
	Storm, Calm time.Duration // with and without faults

	Faults      Faults        // of calls and messages, during the storm
	Weather     []Fault       // the faults of machines and callers that may happen
	Every       time.Duration // mean time between those of machines
	Out         int           // nodes down or paused at a time, at most
	ClockSpread time.Duration // of all wall clocks, either way
	Stall       bool          // a paused client's wall clock stands still
	NoPush      bool          // no client can subscribe

	Broken Assumption // the one that the run breaks on purpose

	// What is no part of what happens.
	Shuffle bool      // goroutines of one instant go in any order
	Events  io.Writer // gets a line for each event; nil: none is written
}

// NewPlan draws a plan from a seed. It keeps to what the library's guarantees
// assume:
//
//   - clocks of nodes run at most 0.8 % slow or fast and never jump forward;
//     they may jump back by a minute in all, where no counter vanishes;
//   - a node that comes back with less than all its data has stayed away for
//     longer than the longest lease, or there is a restart guard; and clocks of
//     nodes agree to 100 ms, since what stands in for a lost counter is the clock;
//   - of the keys that vanish one by one, a hold is on a majority of the other nodes, for
//     as long at least, and a counter is behind the clock; see Cluster.Evict.
//
// Wall clocks of clients may do anything.
func NewPlan(seed uint64) Plan {
	d := Dice(mix(seed)).Named("plan")
	number := func(what string, lo, hi int) int { return lo + d.Named(what).N(hi-lo+1) }
	choose := func(what string, of ...time.Duration) time.Duration { return of[d.Named(what).N(len(of))] }
	on := func(what string, p float64) bool { return d.Named("on").Named(what).Chance(p) }
	const ms, s = time.Millisecond, time.Second

	p := Plan{
		Seed:    seed,
		Nodes:   number("nodes", 1, 5),
		Clients: number("clients", 2, 6),
		Workers: number("workers", 1, 4),
		Names:   number("names", 1, 2),
		Expiry:  choose("expiry", 2*s, 5*s, 10*s, 30*s, 30*s),
		Mixed:   on("mixed", 0.3),
		Stall:   on("stall", 0.5),
		NoPush:  on("no push", 1.0/6),
	}
	shortest := p.Expiry
	if p.Mixed {
		shortest /= 2
	}
	// An attempt on a contended lock takes up to four round trips and has a tenth
	// of Expiry.
	p.Far = min(choose("far", 300*time.Microsecond, 1*ms, 5*ms, 20*ms), shortest/200)
	if on("cadence", 0.3) {
		p.Cadence = shortest / 5
	}
	if on("busy wait", 0.3) {
		p.MaxBusyWait = 200 * ms
	}

	// Pauses follow from how busy the locks are to be: from idle to overrun.
	p.Hold = choose("hold", 50*ms, p.Expiry/4, p.Expiry, 3*p.Expiry)
	busy := [...]float64{0.1, 0.3, 0.6, 1}[number("busy", 0, 3)]
	p.Pause = max(200*ms, time.Duration(float64(p.Hold)*float64(p.Clients*p.Workers)/float64(4*p.Names)/busy))
	// Long enough for every worker to take some hundred turns, or for some hundred leases.
	p.Storm = min(choose("storm", 60, 120, 240)*p.Expiry, max(300*(p.Hold+p.Pause), 4*p.Expiry))
	unhurried := on("unhurried", 0.3)
	if unhurried {
		// Long quiet times between uses, in which counters expire and faults pile up.
		p.Pause, p.Storm = max(p.Pause, 20*time.Minute), 6*time.Hour
	}
	// And long enough for a wait that begins in it to last too long.
	p.Calm = max(min(20*p.Expiry, max(40*(p.Hold+p.Pause), 2*p.Expiry)), p.MaxWait()+20*s)

	rate := choose("rate", 0, 1, 3, 6) // in hundredths
	call := func(what string) float64 {
		if !on(what, 0.6) {
			return 0
		}
		return float64(rate) / 100 * (0.3 + d.Named("share").Named(what).Float())
	}
	p.Faults = Faults{
		RequestLost: call("request lost"), ReplyLost: call("reply lost"), ResetBefore: call("reset before"), ResetAfter: call("reset after"),
		Delayed: call("delayed"), Resent: call("resent"), LateOriginal: call("late original"), ErrorReply: call("error reply"),
		MessageLost: 3 * call("message lost"), MessageRepeated: 3 * call("message repeated"), Deaf: 4 * call("deaf"),
		MaxDelay: choose("delay", 200*ms, p.Expiry/2, 2*p.Expiry),
	}
	for _, f := range []Fault{
		LinkCut, NodePaused, NodeCrashed, NodeLostLast, NodeLostAll, NodeStepped, NodeRate,
		NodeDemoted, PushDeaf, OutOfMemory, DiskFailed, ServerBusy, Unauthorized, SlotOpen,
		HoldEvicted, MetaEvicted, QueueEvicted, TicketsEvicted, SlotsEvicted, StaleConn,
		ClientPaused, ClientKilled, ClientStepped, Cancelled, Closed,
	} {
		if on(f.String(), 0.5) {
			p.Weather = append(p.Weather, f)
		}
	}
	p.ClockSpread = choose("spread", 0, 50*ms, 2*time.Hour)
	if p.has(NodeLostLast) || p.has(NodeLostAll) {
		p.Weather = slices.DeleteFunc(p.Weather, func(f Fault) bool { return f == NodeStepped || f == NodeRate })
		p.ClockSpread = min(p.ClockSpread, 50*ms)
		if on("guard", 0.5) {
			p.Guard = max(p.Expiry, 7*s)
		}
	}
	if p.has(NodeStepped) {
		p.Weather = slices.DeleteFunc(p.Weather, func(f Fault) bool { return f == MetaEvicted })
	}
	p.Out = max(1, (p.Nodes-1)/2)
	if on("out", 0.2) {
		p.Out = p.Nodes
	}
	p.Every = choose("every", p.Expiry/4, p.Expiry, 4*p.Expiry)
	if unhurried {
		p.Every = max(p.Every, time.Minute)
	}
	return p
}

// MaxIdle is how long a lock may be free in the calm while somebody waits: a claim that
// is not taken up, and a poll.
func (p *Plan) MaxIdle() time.Duration {
	busy := p.MaxBusyWait
	if busy == 0 {
		busy = 800 * time.Millisecond
	}
	return busy + time.Second
}

// MaxWait is how long a wait may take in the calm: no longer than all workers together
// could hold the lock.
func (p *Plan) MaxWait() time.Duration {
	return time.Duration(p.Clients*p.Workers+1) * (calmHold + p.MaxIdle())
}

func (p *Plan) has(f Fault) bool { return slices.Contains(p.Weather, f) }
