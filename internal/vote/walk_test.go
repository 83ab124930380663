package vote

import (
	"fmt"
	"slices"
	"testing"
)

// voters returns every way in which n nodes may have voted, but that of four and five nodes
// only the lead and two orders of the others are told apart: what counts beside the lead is
// how many, and who is the first that has not failed.
func voters(n int, do func(votes []Vote)) {
	votes := make([]Vote, n)
	var fill func(i int)
	fill = func(i int) {
		if i == n {
			do(votes)
			if n > 3 {
				slices.Reverse(votes[1:])
				do(votes)
				slices.Reverse(votes[1:])
			}
			return
		}
		least := Vote(0)
		if n > 3 && i > 1 {
			least = votes[i-1]
		}
		for votes[i] = least; votes[i] < kinds; votes[i]++ {
			fill(i + 1)
		}
	}
	fill(0)
}

// walk calls do with every ballot of one to five nodes that an attempt may come to.
func walk(do func(b *Ballot)) (ballots int) {
	for n := 1; n <= 5; n++ {
		leads := n
		if n > 3 {
			leads = 1
		}
		voters(n, func(votes []Vote) {
			b := &Ballot{Votes: votes}
			for b.Lead = range leads {
				pending, unasked := b.count(Vote.Pending), b.count(func(v Vote) bool { return v == Unasked })
				for bits := range 1 << 6 {
					b.Failing, b.Alone, b.Queued = bits&1 > 0, bits&2 > 0, bits&4 > 0
					b.Waits, b.Proving, b.Over = bits&8 > 0, bits&16 > 0, bits&32 > 0
					switch {
					case b.Over && pending > 0: // who is silent at the end of the window has failed
					case b.Alone && (b.Over || n == 1 || unasked < n-1 || b.lead() == Unasked):
					case !b.Alone && unasked > 0:
					case b.Alone && !b.Queued, b.Queued && !b.Waits:
					case b.Proving && pending == 0:
					default:
						for b.Waited = Await; b.Waited <= AwaitPause; b.Waited++ {
							for _, b.Late = range []bool{false, true}[:lates(b)] {
								ballots++
								do(b)
							}
						}
					}
				}
			}
		})
	}
	return ballots
}

// lates returns 2 where it may matter to the next move whether the attempt is late, else 1.
func lates(b *Ballot) int {
	if b.lead() == Turn && !b.Alone && !b.Waits {
		return 2
	}
	return 1
}

// tally counts a ballot's votes, in words of its own.
type tally struct{ nodes, majority, yes, no, failed, pending, kept, lasting, mistakes int }

func count(votes []Vote) tally {
	t := tally{nodes: len(votes), majority: len(votes)/2 + 1}
	for _, v := range votes {
		switch v {
		case Unasked, Silent:
			t.pending++
		case Granted, Writing:
			t.yes++
		case Held, Turn, Kept, Conflict:
			t.no++
		case Failed, Serving, Lasting, Mistake:
			t.failed++
		}
		switch v {
		case Kept:
			t.kept++
		case Lasting:
			t.lasting++
		case Mistake:
			t.lasting++
			t.mistakes++
		case Conflict:
			t.mistakes++
		}
	}
	return t
}

// winnable reports whether a majority may yet grant.
func (t tally) winnable() bool { return t.yes+t.pending >= t.majority }

// The properties that every ballot's move has.
func TestEveryBallot(t *testing.T) {
	moves := map[Move]int{}
	ballots := walk(func(b *Ballot) {
		move, n, lead := b.Next(), count(b.Votes), b.Votes[b.Lead]
		moves[move]++
		awaits := slices.Contains([]Move{Await, AwaitLead, AwaitSome, AwaitAll, AwaitProofs, AwaitPause}, move)
		consent := lead == Granted || lead == Writing
		refused := lead == Held || lead == Turn || lead == Kept
		owed := (lead == Unasked || lead == Silent) && !b.Failing && b.Waited != AwaitLead
		proving := b.Proving && !b.Alone && b.Waited != AwaitProofs && (n.yes >= n.majority || n.no > 0)
		settled := n.mistakes > 0 || proving || lead == Turn || b.Alone
		keeping := n.kept > 0 && !b.Queued && !b.Over && n.no-n.kept <= n.nodes-n.majority && (consent || owed)

		// Each of these says when a move is made, and that it is made then.
		rules := map[Move]bool{
			AwaitProofs: n.mistakes == 0 && proving,
			Win:         !settled && n.yes >= n.majority && !owed,
			AskOthers:   n.mistakes == 0 && b.Alone && consent,
			PassOver:    n.mistakes == 0 && b.Alone && !consent && !refused && (n.failed > 0 || b.Waited == AwaitLead),
			AskKept:     !settled && n.yes < n.majority && keeping && consent,
		}
		for m, want := range rules {
			if (move == m) != want {
				t.Fatalf("%v: %v, want %v to be %v", b, move, m, want)
			}
		}
		fail := func(when bool, what string) {
			if when {
				t.Fatalf("%v: %v, but %s", b, move, what)
			}
		}
		fail(awaits && move != AwaitPause && n.pending == 0, "nobody owes an answer")
		fail(awaits && b.Over, "the window is over")
		fail(move != Await && move == b.Waited, "the patience for that is over")
		turn := lead == Turn && !b.Alone && n.mistakes == 0 && !proving
		open := b.Late && b.Waited != AwaitAll && !b.decided()
		stands := b.Waits && n.failed <= n.nodes-n.majority
		fail(turn && stands && move != StandInLine, "the lead's line is where to wait")
		fail(turn && !stands && open && move != AwaitAll, "late answers may tell others from an outage")
		fail(turn && !stands && !open && move != GiveUp, "the lead says that it is others' turn")
		fail(b.Alone && refused && n.mistakes == 0 && move != GiveUp, "the lead answers for all")
		fail(awaits && n.mistakes > 0, "the caller has something to mend")
		fail(b.Alone && lead == Silent && b.Waited != AwaitLead && move != AwaitLead, "the lead has time to answer")
		fail(!b.Alone && !settled && n.yes >= n.majority && owed && move != AwaitLead, "the lead may say that it is others' turn")
		fail(move == AwaitLead && !(b.Alone || owed && (n.yes >= n.majority || keeping)), "the lead's answer changes nothing")
		fail(!b.Alone && !settled && n.yes < n.majority && keeping && owed && move != AwaitLead, "what is kept may be this attempt's")
		asked := b.Queued && consent && n.no > 0 && n.failed <= n.nodes-n.majority
		fail((move == AskRefusing || move == AwaitPause) && !asked, "nobody is worth asking again")
		fail(move == AskRefusing && b.Waited != AwaitPause, "the pause is not over")
		fail(asked && !b.Over && !settled && n.yes < n.majority && move != AskRefusing && move != AwaitPause, "the lead has called this attempt")
		some := b.Waits && !(b.Queued && consent) && n.no > 0 && n.winnable()
		fail((move == StandInLine || move == AwaitSome) && !some && !turn, "standing in line is of no use")
		fail(move == StandInLine && b.Waited != AwaitSome && !turn, "who is silent may yet grant")
		fail(some && !settled && n.yes < n.majority && !keeping && move != StandInLine && move != AwaitSome, "a place in line is better than to wait")
		fail(move == GiveUp && n.mistakes == 0 && !(lead == Turn || b.Alone && refused) && n.winnable(), "a majority may yet grant")
		lost := !settled && n.yes < n.majority && !n.winnable() && !asked && !keeping
		fail(lost && move != GiveUp && move != AwaitAll && move != Await, "nobody can win")
		hope := b.Waits && !answered(b) && n.failed <= n.nodes-n.majority // of an answer
		fail(lost && move == Await && !hope, "nobody can win, and whether others have it makes no difference")
		fail(lost && hope && move != Await, "others may have it")
		fail(move == AwaitAll && (b.decided() || !lost && !turn), "it is known who stands in the way")
		fail(move == GiveUp && lost && !b.decided() && b.Waited != AwaitAll, "it may be others, or an outage")
	})
	for m := Await; m <= GiveUp; m++ {
		if moves[m] == 0 {
			t.Errorf("no ballot leads to %v", m)
		}
	}
	t.Logf("%d ballots, %v", ballots, moves)
}

// answered says when a majority has answered, as doc.go does not.
func answered(b *Ballot) bool {
	n := 0
	for _, v := range b.Votes {
		if slices.Contains([]Vote{Granted, Writing, Held, Turn, Kept, Conflict, Serving}, v) {
			n++
		}
	}
	lead := b.Votes[b.Lead]
	return n >= len(b.Votes)/2+1 || b.Alone && lead >= Held && lead <= Conflict
}

// rule is who stands in the way, by the rule of core.ErrNotAcquired: others, where no
// majority could be had even if every node that is silent or failed had granted, or where
// the first node from the lead on that has not failed refuses, while no majority is known to
// have failed.
func rule(votes []Vote, lead int, late bool) Verdict {
	n := count(votes)
	failed := func(v Vote) bool { return v >= Failed || late && (v == Silent || v == Writing) }
	down, foremost := 0, Failed
	for i := len(votes) - 1; i >= 0; i-- {
		if failed(votes[i]) {
			down++
		} else if i >= lead {
			foremost = votes[i]
		}
	}
	refuses := foremost >= Held && foremost <= Conflict
	switch {
	case n.mistakes > 0:
		return Mistaken
	case n.nodes-n.no < n.majority, refuses && n.nodes-down >= n.majority:
		return Others
	case n.nodes-n.lasting < n.majority:
		return Hopeless
	}
	return Outage
}

func TestEveryVerdict(t *testing.T) {
	verdicts := map[Verdict]int{}
	undecided := 0
	walk(func(b *Ballot) {
		for _, b.Late = range []bool{false, true} {
			got := b.Verdict()
			verdicts[got]++
			if want := rule(b.Votes, b.Lead, b.Late); got != want {
				t.Fatalf("%v: %v, want %v", b, got, want)
			}
		}
		b.Late = false
		if got, want := b.Answered(), answered(b); got != want {
			t.Fatalf("%v: answered: %v, want %v", b, got, want)
		}
		n := count(b.Votes)
		if got, want := b.FailuresDecide(), n.nodes-n.failed < n.majority; got != want {
			t.Fatalf("%v: failures decide: %v, want %v", b, got, want)
		}
		if n.mistakes > 0 || n.lasting > 0 || n.winnable() {
			return
		}
		differ := len(verdictsOf(b)) > 1 && n.nodes-n.failed >= n.majority
		if got := b.decided(); got == differ {
			t.Fatalf("%v: decided: %v, the answers that are to come may lead to %v", b, got, verdictsOf(b))
		}
		if differ {
			undecided++
		}
	})
	if len(verdicts) != 4 || undecided == 0 {
		t.Errorf("got the verdicts %v, %d undecided, want all four, and some", verdicts, undecided)
	}
}

// verdictsOf returns the verdicts that the nodes' answers may yet lead to.
func verdictsOf(b *Ballot) map[Verdict]bool {
	all := map[Verdict]bool{}
	votes := slices.Clone(b.Votes)
	var fill func(i int)
	fill = func(i int) {
		if i == len(votes) {
			all[rule(votes, b.Lead, false)] = true
			return
		}
		if !b.Votes[i].Pending() {
			fill(i + 1)
			return
		}
		for _, votes[i] = range []Vote{Granted, Held, Failed} {
			fill(i + 1)
		}
	}
	fill(0)
	return all
}

func (b *Ballot) String() string { return fmt.Sprintf("%+v", *b) }
