// Package vote decides what an attempt to take a lock does next. It is pure: it has no
// clock, no lock of its own and does no I/O, so that a test walks through every ballot
// there is.
//
// A [Ballot] is what an attempt knows: the [Vote] of each node, and what has become of the
// attempt's patience. [Ballot.Next] names the [Move]; the attempt carries it out and comes
// back with the next answer, or when the patience that goes with the move is over.
//
//	            the lead alone is asked            all nodes are asked
//	          +-------------------------+        +---------------------+
//	ticket -->| it grants      AskOthers |------->| a majority grants   |--> Win
//	          | it is failing  PassOver  |------->| nobody can win      |--> GiveUp
//	          | it refuses               |        | it is others' turn, |
//	          +------------|------------+        | or some refuse and  |
//	                       v                      | some are silent     |--> StandInLine
//	                     GiveUp                   +---------------------+
//	                                                  ^ without a ticket
//
// An attempt with a ticket on several nodes asks the lead alone at first: the node whose
// line gives the order. With the lead's consent, or where the lead is failing, it asks the
// others. Every other attempt asks all nodes together.
//
// GiveUp has a [Verdict]: others stand in the way, or an outage does. The caller is told
// "others" only where that is certain.
package vote
