package checker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at is the moment ms milliseconds after the epoch.
func at(ms int) time.Time {
	return epoch.Add(time.Duration(ms) * time.Millisecond)
}

// held is a claim from one moment to another, asked for 1 ms before the grant.
func held(kind checker.Kind, from, to int, token int64) checker.Claim {
	return checker.Claim{
		Name: "a", Client: "c", Kind: kind, Slot: checker.NoSlot, Token: token,
		Asked: at(from - 1), Granted: at(from), Released: at(to), ValidUntil: at(from + 30000),
	}
}

func permit(from, to, limit, slot int, token int64) checker.Claim {
	c := held(checker.Permit, from, to, token)
	c.Limit, c.Slot = limit, slot
	return c
}

func waited(kind checker.Kind, asked, granted, to int) checker.Claim {
	c := held(kind, granted, to, 0)
	c.Asked = at(asked)
	return c
}

func gaveUp(asked, until int) checker.Claim {
	return checker.Claim{Name: "a", Client: "w", Kind: checker.Exclusive, Slot: checker.NoSlot, Asked: at(asked), GaveUp: at(until)}
}

func with(c checker.Claim, change func(*checker.Claim)) checker.Claim {
	change(&c)
	return c
}

func TestCheck(t *testing.T) {
	const ex, sh = checker.Exclusive, checker.Shared
	tests := []struct {
		name   string
		claims []checker.Claim
		rules  *checker.Rules
		want   []string // the rules broken, in order
	}{
		{name: "nothing"},
		{name: "one after the other", claims: []checker.Claim{held(ex, 0, 10, 1), held(ex, 10, 20, 2)}},
		{name: "exclusive overlap", claims: []checker.Claim{held(ex, 0, 10, 1), held(ex, 9, 20, 2)}, want: []string{checker.RuleExclusion}},
		{name: "overlap recorded backwards", claims: []checker.Claim{held(ex, 9, 20, 2), held(ex, 0, 10, 1)}, want: []string{checker.RuleExclusion}},
		{name: "different names", claims: []checker.Claim{
			held(ex, 0, 10, 1), with(held(ex, 5, 15, 1), func(c *checker.Claim) { c.Name = "b" }),
		}},
		{name: "readers together", claims: []checker.Claim{held(sh, 0, 10, 0), held(sh, 5, 20, 0), held(sh, 6, 7, 0)}},
		{name: "reader during writer", claims: []checker.Claim{held(ex, 0, 10, 1), held(sh, 5, 20, 0)}, want: []string{checker.RuleExclusion}},
		{name: "writer during the longest of three readers", claims: []checker.Claim{
			held(sh, 0, 100, 0), held(sh, 5, 20, 0), held(sh, 6, 7, 0), held(ex, 90, 110, 1),
		}, want: []string{checker.RuleExclusion}},
		{name: "the deadline ends a claim", claims: []checker.Claim{
			with(held(ex, 0, 50, 1), func(c *checker.Claim) { c.ValidUntil = at(10) }), held(ex, 10, 20, 2),
		}},
		{name: "a loss ends a claim", claims: []checker.Claim{
			with(held(ex, 0, 50, 1), func(c *checker.Claim) { c.Released, c.Lost = time.Time{}, at(10) }), held(ex, 10, 20, 2),
		}},
		{name: "an open claim lasts", claims: []checker.Claim{
			with(held(ex, 0, 50, 1), func(c *checker.Claim) { c.Released, c.ValidUntil = time.Time{}, time.Time{} }), held(ex, 100000, 100001, 2),
		}, want: []string{checker.RuleExclusion}},
		{name: "granted after its own deadline: never held", claims: []checker.Claim{
			held(ex, 0, 50, 1), with(held(ex, 20, 30, 2), func(c *checker.Claim) { c.ValidUntil = at(15) }),
		}},

		{name: "permits up to the limit", claims: []checker.Claim{permit(0, 10, 2, 0, 1), permit(5, 20, 2, 1, 2), permit(10, 20, 2, 0, 3)}},
		{name: "a permit too many", claims: []checker.Claim{permit(0, 10, 2, 0, 1), permit(5, 20, 2, 1, 2), permit(9, 20, 2, 2, 3)}, want: []string{checker.RuleCapacity}},
		{name: "weights beyond the limit", claims: []checker.Claim{
			with(permit(0, 10, 3, -1, 1), func(c *checker.Claim) { c.Weight = 2 }), with(permit(5, 20, 3, -1, 2), func(c *checker.Claim) { c.Weight = 2 }),
		}, want: []string{checker.RuleCapacity}},
		{name: "a slot twice", claims: []checker.Claim{permit(0, 10, 2, 1, 1), permit(5, 20, 2, 1, 2)}, want: []string{checker.RuleSlot}},
		{name: "locks and permits under one name", claims: []checker.Claim{permit(0, 10, 2, 1, 1), held(ex, 50, 60, 2)}, want: []string{checker.RuleKinds}},

		{name: "a token twice", claims: []checker.Claim{held(ex, 0, 10, 7), held(ex, 10, 20, 7)}, want: []string{checker.RuleUnique}},
		{name: "a smaller token", claims: []checker.Claim{held(ex, 0, 10, 7), held(ex, 10, 20, 6), held(ex, 20, 30, 8)}, want: []string{checker.RuleOrder}},
		{name: "a smaller token, much later", claims: []checker.Claim{held(ex, 0, 10, 7), held(ex, 10, 20, 8), held(ex, 20, 30, 5)}, want: []string{checker.RuleOrder}},
		{name: "a smaller token, told not to mind", claims: []checker.Claim{held(ex, 0, 10, 7), held(ex, 10, 20, 6)}, rules: &checker.Rules{Forgotten: true}},
		{name: "concurrent permits in either order", claims: []checker.Claim{
			with(permit(10, 20, 2, 0, 2), func(c *checker.Claim) { c.Asked = at(0) }), with(permit(11, 20, 2, 1, 1), func(c *checker.Claim) { c.Asked = at(0) }),
		}},
		{name: "a later permit with a smaller token", claims: []checker.Claim{permit(0, 20, 2, 0, 2), permit(11, 20, 2, 1, 1)}, want: []string{checker.RuleOrder}},

		{name: "a wait within its bound", claims: []checker.Claim{waited(ex, 0, 100, 200)}, rules: &checker.Rules{MaxWait: ms(100)}},
		{name: "a wait too long", claims: []checker.Claim{waited(ex, 0, 101, 200)}, rules: &checker.Rules{MaxWait: ms(100)}, want: []string{checker.RuleWait}},
		{name: "a wait too long and given up", claims: []checker.Claim{gaveUp(0, 101)}, rules: &checker.Rules{MaxWait: ms(100)}, want: []string{checker.RuleWait}},
		{name: "a wait counted from the calm", claims: []checker.Claim{waited(ex, 0, 140, 200)}, rules: &checker.Rules{MaxWait: ms(100), Calm: at(50)}},
		{name: "a wait that never ends", claims: []checker.Claim{with(gaveUp(0, 0), func(c *checker.Claim) { c.GaveUp = time.Time{} })},
			rules: &checker.Rules{MaxWait: ms(100), Until: at(101)}, want: []string{checker.RuleWait}},

		{name: "handed over in time", claims: []checker.Claim{held(ex, 0, 10, 0), waited(ex, 5, 30, 40)}, rules: &checker.Rules{MaxIdle: ms(20)}},
		{name: "idle too long", claims: []checker.Claim{held(ex, 0, 10, 0), waited(ex, 5, 31, 40)}, rules: &checker.Rules{MaxIdle: ms(20)}, want: []string{checker.RuleIdle}},
		{name: "idle without a waiter", claims: []checker.Claim{held(ex, 0, 10, 0), held(ex, 100, 110, 0)}, rules: &checker.Rules{MaxIdle: ms(20)}},
		{name: "idle after a wait of no length", claims: []checker.Claim{gaveUp(5, 5), waited(ex, 5, 5, 10), held(ex, 100, 110, 0)}, rules: &checker.Rules{MaxIdle: ms(20)}},
		{name: "idle while others give up", claims: []checker.Claim{held(ex, 0, 10, 0), waited(ex, 5, 31, 40), gaveUp(6, 20), gaveUp(7, 25)},
			rules: &checker.Rules{MaxIdle: ms(20)}, want: []string{checker.RuleIdle}},
		{name: "idle until the end", claims: []checker.Claim{held(ex, 0, 10, 0), with(gaveUp(5, 0), func(c *checker.Claim) { c.GaveUp = time.Time{} })},
			rules: &checker.Rules{MaxIdle: ms(20), Until: at(50)}, want: []string{checker.RuleIdle}},
		{name: "a claim that outlasts the end", claims: []checker.Claim{
			with(permit(0, 0, 2, 0, 0), func(c *checker.Claim) { c.Released, c.ValidUntil = time.Time{}, at(100) }),
			with(permit(45, 0, 2, 1, 0), func(c *checker.Claim) { c.Asked, c.Granted, c.Released = at(45), time.Time{}, time.Time{} }),
		}, rules: &checker.Rules{MaxIdle: ms(20), Until: at(50)}},
		{name: "idle in the storm only", claims: []checker.Claim{held(ex, 0, 10, 0), waited(ex, 5, 60, 70)}, rules: &checker.Rules{MaxIdle: ms(20), Calm: at(45)}},
		{name: "a permit left unused", claims: []checker.Claim{permit(0, 100, 2, 0, 0), with(permit(50, 60, 2, 1, 0), func(c *checker.Claim) { c.Asked = at(10) })},
			rules: &checker.Rules{MaxIdle: ms(20)}, want: []string{checker.RuleIdle}},
		{name: "all permits used", claims: []checker.Claim{permit(0, 50, 1, 0, 0), with(permit(51, 60, 1, 0, 0), func(c *checker.Claim) { c.Asked = at(10) })},
			rules: &checker.Rules{MaxIdle: ms(20)}},

		{name: "served in order", claims: []checker.Claim{waited(ex, 0, 10, 20), waited(ex, 1, 20, 30), waited(ex, 2, 30, 40)}, rules: fair(0, 0)},
		{name: "overtaken", claims: []checker.Claim{waited(ex, 0, 30, 40), waited(ex, 1, 10, 20), waited(ex, 2, 20, 30)}, rules: fair(1, 0), want: []string{checker.RuleFairness}},
		{name: "overtaken as often as allowed", claims: []checker.Claim{waited(ex, 0, 30, 40), waited(ex, 1, 10, 20), waited(ex, 2, 20, 30)}, rules: fair(2, 0)},
		{name: "overtaken within the slack", claims: []checker.Claim{waited(ex, 0, 30, 40), waited(ex, 1, 10, 20), waited(ex, 2, 20, 30)}, rules: fair(0, 5)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, v := range violations(t, checker.Check(tt.claims, tt.rules)) {
				got = append(got, v.Rule)
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("got %q, want %q\n%v", got, tt.want, checker.Check(tt.claims, tt.rules))
			}
		})
	}
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func fair(overtakes, slack int) *checker.Rules {
	return &checker.Rules{Fairness: &checker.Fairness{MaxOvertakes: overtakes, Slack: ms(slack)}}
}

// violations takes a verdict apart.
func violations(t *testing.T, err error) []*checker.Violation {
	t.Helper()
	if err == nil {
		return nil
	}
	var all []*checker.Violation
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var v *checker.Violation
		if !errors.As(e, &v) {
			t.Fatalf("got %T, want a *Violation", e)
		}
		all = append(all, v)
	}
	return all
}

func TestViolationNamesBothClaims(t *testing.T) {
	first, second := held(checker.Exclusive, 0, 10, 41), held(checker.Exclusive, 9, 20, 42)
	first.Client, second.Client = "alice", "bob"
	err := checker.Check([]checker.Claim{first, second}, nil)
	got := violations(t, err)
	if len(got) != 1 || len(got[0].Claims) != 2 || got[0].Claims[0] != first || got[0].Claims[1] != second || !got[0].At.Equal(at(9)) {
		t.Fatalf("got %+v", got)
	}
	for _, want := range []string{`exclusion broken on "a" at 2026-01-02T03:04:05.009000`, "for 1ms", "alice token 41", "bob token 42"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to name %q", err, want)
		}
	}
}

func TestManyViolationsAreCut(t *testing.T) {
	var claims []checker.Claim
	for i := range 31 {
		claims = append(claims, held(checker.Exclusive, 10*i, 10*i+11, int64(i+1)))
	}
	got := violations(t, checker.Check(claims, nil))
	if len(got) != 10 || got[9].More != 20 {
		t.Errorf("got %d violations, the last stands for %d more; want 10 and 20", len(got), got[len(got)-1].More)
	}
}
