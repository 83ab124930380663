package hold

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/failure"
	"github.com/redlatch/redlatch/internal/vote"
)

// errLeft is the failure of a node that may yet answer.
var errLeft = errors.New("no answer before the caller left")

// usually is how long answers take at most, beside what the way to the nodes takes; busy is
// how long they take where a machine has much to do.
const (
	usually = 100 * time.Millisecond
	busy    = time.Second
)

// A Verdict says what kept an attempt from winning.
type Verdict int8

const (
	Final     Verdict = iota // what no waiting mends
	Others                   // others stand in the way, for certain: see core.ErrNotAcquired
	Outage                   // nodes that failed or were silent
	undecided                // silent nodes; some have refused, and a waiter goes to stand in line
)

// An Outcome says how an attempt that did not win ended, and what waiting needs.
type Outcome struct {
	Verdict  Verdict
	Err      error         // final: for the caller; others: nil; else the nodes' failures
	Late     bool          // a majority granted, but too late
	Answered bool          // by a majority, or by the lead for it
	Recent   bool          // the caller left before answers may have come, or before anything was sent
	Left     time.Duration // until it is worth coming again, as the lead said; negative: not known
	Place    int           // in the lead's line; -1: not in it
	Lead     int           // whose line that is
	Granted  *cluster.Node // the lead, if it granted, which takes the ticket out of its line
	Untold   bool          // the ticket was called, and its waiter has not come for longer than a message takes
}

// Ended returns the outcome that no waiting mends.
func Ended(err error) Outcome { return Outcome{Err: err, Left: -1, Place: -1} }

// told returns the outcome of an attempt that met what another one had.
func (l *Target) told(r *cluster.Blackout) Outcome {
	return Outcome{Verdict: Outage, Err: r.Err, Answered: r.Answered, Left: -1, Place: -1, Lead: l.Lead()}
}

// Unanswered is the outcome where nothing has been asked yet, nor answered.
func (l *Target) Unanswered(ctx context.Context) Outcome {
	h := newHold(l, ctx)
	for i := range h.shares {
		h.shares[i].vote = vote.Silent
	}
	return h.interrupted()
}

// ballot is what the nodes have said, as package vote sees it. It is good until the next one.
func (h *Hold) ballot() vote.Ballot {
	votes := h.room[:0]
	for i := range h.shares {
		v := h.shares[i].vote
		if v == vote.Granted && h.shares[i].asking > 0 {
			v = vote.Writing
		}
		votes = append(votes, v)
	}
	return vote.Ballot{Votes: votes, Lead: h.lead, Late: !h.recent(usually)}
}

// judge says who stands in the way, by the answers that are there; silent makes the failure
// of a node that has not answered.
func (h *Hold) judge(o Outcome, b *vote.Ballot, silent func(*cluster.Node) error) Outcome {
	switch b.Verdict() {
	case vote.Mistaken:
		return Ended(h.mistake())
	case vote.Hopeless:
		return Ended(h.lock.failed(h.failures(silent)))
	case vote.Others:
		o.Verdict = Others
		return o
	}
	if b.FailuresDecide() {
		silent = nil
	}
	o.Verdict, o.Err = Outage, h.failures(silent)
	if o.Err == nil {
		o.Err = errLeft // all have answered, only just
	}
	return o
}

// interrupted is the outcome where the caller has left.
func (h *Hold) interrupted() Outcome {
	b := h.ballot()
	o := h.judge(Outcome{Left: -1, Place: -1}, &b, func(n *cluster.Node) error { return n.Silence(errLeft) })
	o.Recent = o.Verdict != Final && h.recent(busy)
	return o
}

// recent reports whether the attempt began no longer ago than answers take.
func (h *Hold) recent(answers time.Duration) bool {
	return time.Since(h.began) < h.lock.patience(answers)
}

// mistake returns what the caller has to mend.
func (h *Hold) mistake() error {
	for i := range h.shares {
		switch s := &h.shares[i]; s.vote {
		case vote.Conflict:
			return s.err
		case vote.Mistake:
			return cluster.Invalid(h.lock.Nodes[i].Failed(s.err))
		}
	}
	return nil
}

// errorf returns an error of the lock.
func (l *Target) errorf(sentinel error, format string, args ...any) error {
	return failure.Errorf("%w: %s %q: %w", sentinel, l.Named, l.name, fmt.Errorf(format, args...))
}

// failed is the error for nodes that failed.
func (l *Target) failed(failures error) error {
	return failure.Errorf("redlatch: %s %q: %w", l.Named, l.name, failures)
}

// refused is the error for a lock that others have.
func (l *Target) refused() error {
	return fmt.Errorf("%w: %s %q is held or waited for by others", core.ErrNotAcquired, l.Named, l.name)
}

// ClosedError is the error for a call on a closed provider.
func (l *Target) ClosedError() error {
	return fmt.Errorf("%w: %s %q: the provider is closed", core.ErrClosed, l.Named, l.name)
}

// Unasked is the error for a call whose context had ended before anything was sent.
func (l *Target) Unasked(ctx context.Context) error {
	return failure.Errorf("redlatch: %s %q: %w before anything was asked", l.Named, l.name, endOf(ctx))
}

// endOf returns the error of a context that has ended, with its cause.
func endOf(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w (%w)", err, cause)
}

// Says returns what the outcome tells a caller whose context may have ended after it had
// waited so long.
func (l *Target) Says(ctx context.Context, o Outcome, waited time.Duration) error {
	over := ctx.Err() != nil
	switch {
	case o.Verdict == Final:
		return o.Err
	case o.Verdict == Others && over:
		place := ""
		if o.Place >= 0 {
			place = fmt.Sprintf(", at place %d in line", o.Place+1)
		}
		return failure.Errorf("%w: %w after %v%s", l.refused(), endOf(ctx), waited.Round(time.Millisecond), place)
	case o.Verdict == Others:
		return l.refused()
	case over:
		return failure.Errorf("redlatch: %s %q: %w after %v: %w", l.Named, l.name, endOf(ctx), waited.Round(time.Millisecond), o.Err)
	}
	return l.failed(o.Err)
}

// notSent is the error for a call whose context has ended, or the provider, before
// anything was sent for it.
func (l *Target) notSent(ctx context.Context, before int) error {
	if l.Set.IsClosed() {
		return l.ClosedError()
	}
	return fmt.Errorf("%w: %d calls of this process were before it", l.Unasked(ctx), before)
}
