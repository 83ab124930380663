package vote

// A Vote is where one node stands.
type Vote int8

const (
	Unasked  Vote = iota
	Silent        // asked, without an answer so far
	Granted       //
	Writing       // granted, and the token that the nodes agreed on is being written there
	Held          // refuses: others have the lock there
	Turn          // refuses: in its line others come first
	Kept          // refuses: free, but perhaps kept for one from the lead's line
	Conflict      // refuses: another limit or restart guard is in force
	Failed        // no answer that counts: the failure passes, or somebody may mend it
	Serving       // the same, of a server that is there and serves others
	Lasting       // failed in a way that no waiting mends
	Mistake       // failed because of something that the caller has to mend
	kinds         // how many there are
)

// Grants reports whether the node has granted.
func (v Vote) Grants() bool { return v == Granted || v == Writing }

// Refuses reports whether the node has refused.
func (v Vote) Refuses() bool { return v >= Held && v <= Conflict }

// Fails reports whether the node has failed: it may have done anything.
func (v Vote) Fails() bool { return v >= Failed }

// Pending reports whether the node may yet answer.
func (v Vote) Pending() bool { return v <= Silent }

// A Ballot is what an attempt knows when it decides.
type Ballot struct {
	Votes   []Vote // by node
	Lead    int    // the index of the node whose line gives the order
	Failing bool   // the lead is known to be failing, and its answer is not waited for
	Alone   bool   // only the lead has been asked
	Queued  bool   // the attempt has a ticket in the lead's line
	Waits   bool   // the caller waits, and can go and stand in line
	Proving bool   // a silent node may be another one's server, which the caller is to be told
	Late    bool   // answers usually take less than the attempt has
	Over    bool   // the window is over: nobody is silent any more
	Waited  Move   // the Await move whose patience is over; Await: none
}

// A Move is what an attempt does next.
type Move int8

const (
	Await       Move = iota // until there is an answer, or the window is over
	AwaitLead               // the lead's answer may change what the others' mean; as long as a lead may take
	AwaitSome               // some nodes refuse and others may grant; a moment
	AwaitAll                // it is open whether others or an outage stand in the way; as long as answers usually take
	AwaitProofs             // two nodes may turn out to be one server; a moment
	AwaitPause              // refusing nodes are asked again after a pause

	AskOthers   // ask the nodes beside the lead, with its consent
	PassOver    // take the lead for failing and ask the nodes beside it
	AskKept     // ask the nodes again that keep the lock: the lead says that it is not for another
	AskRefusing // ask the nodes again that refuse: the last holder's release may have come

	Win         // settle the token and take the lock
	StandInLine // go to the lead's line, or stay there, instead of waiting for silent nodes
	GiveUp      // for the verdict's reason
)

// Majority returns how many of n nodes are one.
func Majority(n int) int { return n/2 + 1 }

// count returns how many votes are such.
func (b *Ballot) count(such func(Vote) bool) (n int) {
	for _, v := range b.Votes {
		if such(v) {
			n++
		}
	}
	return n
}

// spare returns how many nodes may refuse or fail while a majority can still grant.
func (b *Ballot) spare() int { return len(b.Votes) - Majority(len(b.Votes)) }

// lead returns the lead's vote.
func (b *Ballot) lead() Vote { return b.Votes[b.Lead] }

// Next returns what the attempt does next.
func (b *Ballot) Next() Move {
	lead, spare := b.lead(), b.spare()
	grants, refuses, fails := b.count(Vote.Grants), b.count(Vote.Refuses), b.count(Vote.Fails)
	kept := b.count(func(v Vote) bool { return v == Kept })
	won := grants >= Majority(len(b.Votes))

	switch {
	case b.mistaken():
		return GiveUp
	case b.MayDecide() && b.Proving && !b.Alone && b.Waited != AwaitProofs:
		return AwaitProofs
	case lead.Refuses() && b.Alone:
		return GiveUp
	case lead == Turn && b.Waits && fails <= spare:
		return StandInLine
	case lead == Turn && b.Late && !b.decided() && b.Waited != AwaitAll:
		return AwaitAll
	case lead == Turn:
		return GiveUp
	case won && b.heedsLead(): // it may be others' turn, which the nodes beside the lead do not know
		return AwaitLead
	case won:
		return Win
	case kept > 0 && refuses-kept <= spare && !b.Over && !b.Queued && lead.Grants():
		return AskKept
	case kept > 0 && refuses-kept <= spare && !b.Over && !b.Queued && b.heedsLead():
		return AwaitLead
	case b.Alone && lead.Grants():
		return AskOthers
	case b.Alone && (lead.Fails() || b.Waited == AwaitLead):
		return PassOver
	case b.Alone:
		return AwaitLead
	case b.Queued && lead.Grants() && refuses > 0 && fails <= spare && !b.Over:
		if b.Waited == AwaitPause {
			return AskRefusing
		}
		return AwaitPause
	case b.Waits && !(b.Queued && lead.Grants()) && refuses > 0 && refuses+fails <= spare:
		if b.Waited == AwaitSome {
			return StandInLine
		}
		return AwaitSome
	case refuses+fails <= spare:
		return Await
	case b.Waits && !b.Answered() && grants+refuses+b.count(Vote.Pending) >= Majority(len(b.Votes)):
		return Await // nobody can win, but it may yet turn out that others have it: a waiter waits then
	case !b.decided() && b.Waited != AwaitAll:
		return AwaitAll
	}
	return GiveUp
}

// MayDecide reports whether the answers that are there may end the attempt.
func (b *Ballot) MayDecide() bool {
	return b.count(Vote.Grants) >= Majority(len(b.Votes)) || b.count(Vote.Refuses) > 0
}

// heedsLead reports whether the lead's answer is still to be waited for.
func (b *Ballot) heedsLead() bool {
	return b.lead().Pending() && !b.Failing && b.Waited != AwaitLead
}
