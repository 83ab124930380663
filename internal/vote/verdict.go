package vote

// A Verdict says what keeps an attempt from winning.
type Verdict int8

const (
	Others   Verdict = iota // others stand in the way, for certain: see core.ErrNotAcquired
	Outage                  // nodes that failed or are silent
	Hopeless                // nodes that failed in a way that no waiting mends
	Mistaken                // something that the caller has to mend
)

// Verdict returns what keeps the attempt from winning, by the answers that are there. Where
// the attempt is late a silent node counts as one that has failed.
func (b *Ballot) Verdict() Verdict {
	refuses, fails := b.count(Vote.Refuses), b.count(Vote.Fails)
	if b.Late {
		fails += b.count(Vote.silent)
	}
	hopeless := b.count(func(v Vote) bool { return v == Lasting || v == Mistake })
	switch {
	case b.mistaken():
		return Mistaken
	case refuses > b.spare(), b.foremost(b.Late).Refuses() && fails <= b.spare():
		return Others
	case hopeless > b.spare():
		return Hopeless
	}
	return Outage
}

// decided reports whether the verdict stands, whatever the nodes answer that have not. Where
// the nodes that have failed keep the attempt from winning by themselves, it is an outage,
// and what others say of an even number is not waited for.
func (b *Ballot) decided() bool {
	refuses, fails, pending := b.count(Vote.Refuses), b.count(Vote.Fails), b.count(Vote.Pending)
	switch foremost := b.foremost(false); {
	case pending == 0, refuses > b.spare(), fails > b.spare():
		return true
	case foremost.Refuses():
		return fails+pending <= b.spare()
	case foremost.Pending():
		return false
	}
	return refuses+pending <= b.spare()
}

// foremost returns the vote of the lead or, where that has failed, of the next node that has
// not: those who know that stand in its line. Where the attempt is late a silent node has
// failed.
func (b *Ballot) foremost(late bool) Vote {
	for _, v := range b.Votes[b.Lead:] {
		if !v.Fails() && !(late && v.silent()) {
			return v
		}
	}
	return Failed
}

// Answered reports whether a majority of the nodes has answered, if only that the slot is
// being moved; the lead, where it refuses before the others are asked, answers for them.
func (b *Ballot) Answered() bool {
	answered := b.count(func(v Vote) bool { return v.Grants() || v.Refuses() || v == Serving })
	return answered >= Majority(len(b.Votes)) || b.Alone && b.lead().Refuses()
}

// FailuresDecide reports whether the nodes that have failed keep the attempt from winning by
// themselves, so that the silent ones are not to blame.
func (b *Ballot) FailuresDecide() bool { return b.count(Vote.Fails) > b.spare() }

// mistaken reports whether there is something that the caller has to mend.
func (b *Ballot) mistaken() bool {
	return b.count(func(v Vote) bool { return v == Conflict || v == Mistake }) > 0
}

// silent reports whether the node has been asked and owes an answer.
func (v Vote) silent() bool { return v == Silent || v == Writing }
