package checker

import (
	"errors"
	"slices"
	"time"
)

// Rules says what is judged beside exclusion, capacity and tokens, which always
// are. Zero fields: not judged.
type Rules struct {
	// Calm is when the last fault ended and its after-effects had passed.
	// Progress and fairness are judged from then on. Zero: from the beginning.
	Calm time.Time
	// Until is the end of the history: waits that are still going on then are
	// judged by their length so far. Zero: such waits are not judged by
	// [Check]; [History.Check] sets it to the current time.
	Until time.Time

	// MaxWait bounds the time from asking to the grant. Somebody who gave up
	// after waiting longer is a violation as well.
	MaxWait time.Duration
	// MaxIdle bounds the time in which somebody waits although nobody holds the
	// lock or, for permits, although the smallest permit asked for would fit.
	MaxIdle time.Duration
	// Fairness bounds overtaking.
	Fairness *Fairness
	// Forgotten leaves out the tokens, their uniqueness and their order: for runs in
	// which a server has lost its data on purpose.
	Forgotten bool
}

// Fairness is a bound on overtaking among those who wait for one name.
type Fairness struct {
	// MaxOvertakes is how many who asked later may be granted before somebody
	// who waits. Readers granted while only readers held are counted as well.
	MaxOvertakes int
	// Slack is how much later somebody must have asked to count as later: at
	// least the time that a request needs to reach its place in the queue.
	Slack time.Duration
}

// Names of the rules, as in Violation.Rule.
const (
	RuleExclusion = "exclusion"    // two claims overlap that exclude each other
	RuleCapacity  = "capacity"     // permits beyond the limit
	RuleSlot      = "slot"         // two live permits with one slot
	RuleKinds     = "kinds"        // a name used for locks and for permits
	RuleUnique    = "token-unique" // one token twice
	RuleOrder     = "token-order"  // a later grant with a smaller token
	RuleWait      = "wait"         // somebody waited longer than MaxWait
	RuleIdle      = "idle"         // free for longer than MaxIdle, with a waiter
	RuleFairness  = "fairness"     // overtaken more than MaxOvertakes times
)

// mostReported is how many violations of one name and of rules that are judged
// together are reported: one broken lock breaks thousands of claims, and the first few
// tell the story.
const mostReported = 10

// Check judges claims by rules; nil stands for the zero Rules. See
// [History.Check].
func Check(claims []Claim, rules *Rules) error {
	if rules == nil {
		rules = &Rules{}
	}
	byName := map[string][]Claim{}
	var names []string
	for _, c := range claims {
		if _, ok := byName[c.Name]; !ok {
			names = append(names, c.Name)
		}
		byName[c.Name] = append(byName[c.Name], c)
	}
	slices.Sort(names)

	var errs []error
	for _, name := range names {
		of := byName[name]
		for _, judge := range []func([]Claim, *Rules) []*Violation{
			kinds, exclusion, capacity, tokens, waits, idle, fairness,
		} {
			found := judge(of, rules)
			if more := len(found) - mostReported; more > 0 {
				found = found[:mostReported]
				found[mostReported-1].More = more
			}
			for _, v := range found {
				errs = append(errs, v)
			}
		}
	}
	return errors.Join(errs...)
}

// kinds finds names that stand for two sorts of lock, whose claims cannot be
// compared.
func kinds(claims []Claim, _ *Rules) []*Violation {
	for _, c := range claims {
		if (c.Kind == Permit) != (claims[0].Kind == Permit) {
			return []*Violation{violation(RuleKinds, c.Granted, "one name for locks and for permits", claims[0], c)}
		}
	}
	return nil
}
