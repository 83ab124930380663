package sim

import "time"

// Faults says how often calls and messages meet trouble. The zero value is a
// calm network.
type Faults struct {
	// Probabilities per call. Their sum is at most 1; a call meets one at most.
	RequestLost, ReplyLost, ResetBefore, ResetAfter,
	Delayed, Resent, LateOriginal, ErrorReply float64

	// Probabilities per message and subscriber.
	MessageLost, MessageRepeated float64
	// Probability per subscription.
	Deaf float64

	// MaxDelay is the longest extra delay of a delayed call and of a copy that
	// arrives late.
	MaxDelay time.Duration
}

// pick decides what befalls a call.
func (f *Faults) pick(d Dice) (Fault, bool) {
	x := d.Float()
	for _, c := range [...]struct {
		fault Fault
		p     float64
	}{
		{RequestLost, f.RequestLost}, {ReplyLost, f.ReplyLost}, {ResetBefore, f.ResetBefore}, {ResetAfter, f.ResetAfter},
		{Delayed, f.Delayed}, {Resent, f.Resent}, {LateOriginal, f.LateOriginal}, {ErrorReply, f.ErrorReply},
	} {
		if x < c.p {
			return c.fault, true
		}
		x -= c.p
	}
	return 0, false
}
