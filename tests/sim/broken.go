package sim

import "time"

// An Assumption is one that the guarantees rest on and that a run can break on
// purpose, to show what it is worth.
type Assumption int

const (
	// None is broken.
	None Assumption = iota
	// ReturnAtOnce: a node that has lost data comes back before the leases that
	// it knew of have ended, without a restart guard.
	ReturnAtOnce
	// ClockForward: a node's clock jumps forward, by more than the drift.
	ClockForward
	// ClockTooFast: a node's clock runs faster than the drift allows for.
	ClockTooFast
	// ClockFarBack: a node's clock jumps back by more than the time that a fencing
	// counter is kept beyond its own value.
	ClockFarBack
	// HoldsVanish: a node evicts holds that others need.
	HoldsVanish
	// SlotsVanish: a node evicts the slots of permits.
	SlotsVanish
)

var assumptionNames = [...]string{
	"none", "a node without its data returns at once", "a node's clock jumps forward",
	"a node's clock runs too fast", "a node's clock jumps far back",
	"holds vanish", "slots vanish",
}

// String names what is broken.
func (a Assumption) String() string { return assumptionNames[a] }

// NewBrokenPlan draws a plan in which only one thing goes wrong, and that breaks
// an assumption: otherwise the network is calm, and the locks are busy.
func NewBrokenPlan(seed uint64, broken Assumption) Plan {
	d := Dice(mix(seed)).Named("broken")
	const expiry = 5 * time.Second
	p := Plan{
		Seed: seed, Nodes: []int{1, 3}[d.Named("nodes").N(2)], Clients: 4, Workers: 2, Names: 1, Expiry: expiry, Far: time.Millisecond,
		Hold: expiry, Pause: expiry, Storm: 3 * time.Minute, Calm: expiry,
		Every: expiry / 10, Out: 1, Broken: broken,
	}
	switch broken {
	case ReturnAtOnce:
		p.Weather = []Fault{NodeLostAll, NodeLostLast}
	case ClockForward:
		p.Weather = []Fault{NodeStepped}
	case ClockTooFast:
		// A holder that extends in time never notices: it takes one that cannot.
		p.Weather = []Fault{NodeRate, ClientKilled}
	case ClockFarBack:
		// Counters must have time to expire between two uses.
		p.Weather = []Fault{NodeStepped}
		p.Hold, p.Pause, p.Every, p.Storm = time.Second, 40*time.Minute, 20*time.Minute, 8*time.Hour
	case HoldsVanish:
		p.Weather = []Fault{HoldEvicted}
	case SlotsVanish:
		p.Weather = []Fault{SlotsEvicted}
	}
	return p
}
