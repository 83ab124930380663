package checker

import (
	"fmt"
	"strings"
	"time"
)

// A Violation is one breach of a rule.
type Violation struct {
	Rule   string    // RuleExclusion, RuleOrder, ...
	Name   string    // of the lock
	At     time.Time // when the rule was first broken
	Detail string    // in words
	Claims []Claim   // the claims concerned, the earlier ones first
	More   int       // further breaches of this name, of this rule and those judged with it, not reported
}

// Error describes the violation in one line, followed by one line per claim.
func (v *Violation) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "redlatch: %s broken on %q at %s: %s", v.Rule, v.Name, stamp(v.At), v.Detail)
	for _, c := range v.Claims {
		b.WriteString("\n\t")
		b.WriteString(c.String())
	}
	if v.More > 0 {
		fmt.Fprintf(&b, "\n\tand %d more of this kind", v.More)
	}
	return b.String()
}

func violation(rule string, at time.Time, detail string, claims ...Claim) *Violation {
	return &Violation{Rule: rule, Name: claims[0].Name, At: at, Detail: detail, Claims: claims}
}
