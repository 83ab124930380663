package linear_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
	"github.com/redlatch/redlatch/semaphore"
)

const seed = 20 // of the clients' choices; the interleaving is the machine's

var kinds = []string{"mutex", "rw", "semaphore"}

// judge lets porcupine judge a history. Too long a search is an answer of its own.
func judge(list []porcupine.Operation) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	return porcupine.CheckOperationsVerbose(model, list, 20*time.Second)
}

// explained fails the test if the model does not explain a history, and shows how far it
// came.
func explained(t *testing.T, list []porcupine.Operation) {
	t.Helper()
	result, info := judge(list)
	if result == porcupine.Ok {
		return
	}
	t.Errorf("%v: no order of the %d calls found that explains their answers", result, len(list))
	var longest []porcupine.Operation
	for _, ops := range info.PartialLinearizationsOperations()[0] {
		if len(ops) > len(longest) {
			longest = ops
		}
	}
	t.Logf("%d have an order; the last of them:", len(longest))
	for _, op := range longest[max(0, len(longest)-8):] {
		t.Logf("  %v -> %v", op.Input, op.Output)
	}
}

// tally counts what happened.
func tally(list []porcupine.Operation, into map[string]int) {
	for _, op := range list {
		c, a := op.Input.(call), op.Output.(answer)
		outcome := fmt.Sprint(a.status())
		if a.unknown {
			outcome = "unknown"
		}
		into["calls"]++
		into[outcome]++
		into[string(c.verb)+" "+outcome]++
	}
}

// server returns the address of a server on which keys expire to the millisecond.
func server(t *testing.T) string {
	t.Helper()
	servers := redistest.Start(t, 1, nil)
	redistest.NeedReal(t, servers)
	return servers[0].Addr()
}

func TestLinearizable(t *testing.T) {
	addr := server(t)
	const locks, clients, calls = 4, 5, 120
	lists := make(chan []porcupine.Operation, len(kinds)*locks)
	t.Run("locks", func(t *testing.T) {
		for _, kind := range kinds {
			for i := range locks {
				t.Run(fmt.Sprint(kind, i), func(t *testing.T) {
					t.Parallel()
					list := record(t, addr, kind, t.Name(), uint64(seed+i), clients, calls, i > 0, breakage{})
					lists <- list
					explained(t, list)
				})
			}
		}
	})
	close(lists)
	sum := map[string]int{}
	for list := range lists {
		tally(list, sum)
	}
	t.Logf("%d locks, seed %d:", len(kinds)*locks, seed)
	for _, k := range slices.Sorted(maps.Keys(sum)) {
		t.Logf("%7d %s", sum[k], k)
	}
	if sum["calls"] != len(kinds)*locks*clients*calls {
		t.Errorf("%d calls, want %d", sum["calls"], len(kinds)*locks*clients*calls)
	}
	for _, k := range []string{"acquire 1", "acquire 0", "acquire -2", "extend 1", "extend 0", "extend -1",
		"repair 1", "repair 0", "release 1", "release 0", "unknown"} {
		if sum[k] == 0 {
			t.Errorf("no call ended as %q: the history shows nothing about it", k)
		}
	}
}

// Scripts that break a rule must be found out.
func TestBrokenScript(t *testing.T) {
	addr := server(t)
	for _, b := range []struct {
		rule, kind string
		breakage
	}{
		{"one holder", "mutex", breakage{"not holder end", "true end"}},
		{"quick way only to a free lock", "mutex", breakage{"owner, 'NX', 'PX'", "owner, 'PX'"}},
		{"a hold is its owner's", "mutex", breakage{"return holder == owner", "return holder ~= false"}},
		{"an extension prolongs", "mutex", breakage{"outlive(hold, expiry)", ""}},
		{"no readers beside a writer", "rw", breakage{"if writer then return false end", ""}},
		{"no writer beside readers", "rw", breakage{"called == 0 and redis.call('EXISTS', readers) == 0", "called == 0"}},
		{"a reader's lease ends", "rw", breakage{"ends and tonumber(ends) > nowms", "ends ~= false"}},
		{"as many as the limit", "semaphore", breakage{"called < limit", "called <= limit"}},
		{"a slot each", "semaphore", breakage{"local place = lowest()", "local place = 0"}},
		{"a permit ends", "semaphore", breakage{"'-inf', text(nowms))) do", "'-inf', text(nowms - 20))) do"}},
		{"one limit", "semaphore", breakage{"stored == param then", "stored then"}},
	} {
		t.Run(b.rule, func(t *testing.T) {
			t.Parallel()
			// The clients come across the rarest in one round of four.
			for round := range 100 {
				list := record(t, addr, b.kind, fmt.Sprint(t.Name(), round), uint64(seed+round), 3, 120, false, b.breakage)
				if result, _ := judge(list); result == porcupine.Illegal {
					t.Logf("found %s in round %d", b.rule, round)
					return
				}
			}
			t.Error("not found: the model explains what the broken script did")
		})
	}
}

// A good history of which a part is changed must be found out.
func TestCorruptHistory(t *testing.T) {
	addr := server(t)
	good := inTurns(t, addr, t.Name(), 8)
	explained(t, good)
	// pick returns the place of the n-th call of that end.
	pick := func(list []porcupine.Operation, v verb, status int64, n int) int {
		for i, op := range list {
			if op.Input.(call).verb == v && op.Output.(answer).status() == status {
				if n--; n < 0 {
					return i
				}
			}
		}
		t.Fatalf("no call ended as %s %d often enough", v, status)
		return 0
	}
	for name, change := range map[string]func(l []porcupine.Operation){
		"two grants swapped": func(l []porcupine.Operation) {
			i, j := pick(l, acquire, 1, 5), pick(l, acquire, 1, 6)
			l[i].Input, l[j].Input = l[j].Input, l[i].Input
		},
		"two tokens swapped": func(l []porcupine.Operation) {
			i, j := pick(l, acquire, 1, 5), pick(l, acquire, 1, 6)
			a, b := l[i].Output.(answer), l[j].Output.(answer)
			a.reply[2], b.reply[2] = b.reply[2], a.reply[2]
			l[i].Output, l[j].Output = a, b
		},
		"a refusal made a grant": func(l []porcupine.Operation) {
			i, j := pick(l, acquire, 0, 5), pick(l, acquire, 1, 5)
			a := l[i].Output.(answer)
			a.reply = [5]int64{1, a.time(), l[j].Output.(answer).reply[2] + 1, -1}
			l[i].Output = a
		},
		"an extension not made": func(l []porcupine.Operation) {
			i := pick(l, extend, 1, 3)
			a := l[i].Output.(answer)
			a.reply[0] = 0
			l[i].Output = a
		},
		"a release not made": func(l []porcupine.Operation) {
			i := pick(l, release, 1, 3)
			a := l[i].Output.(answer)
			a.reply[0] = 0
			l[i].Output = a
		},
	} {
		t.Run(name, func(t *testing.T) {
			bad := slices.Clone(good)
			change(bad)
			if got, _ := judge(bad); got != porcupine.Illegal {
				t.Errorf("got %v, want %v", got, porcupine.Illegal)
			}
		})
	}
}

// What is checked is what the library sends.
func TestScriptsAreTheLibrarys(t *testing.T) {
	for _, kind := range kinds {
		sent, here := library{hashes: map[string]bool{}}, library{hashes: map[string]bool{}}
		var l core.Locker
		var err error
		switch kind {
		case "mutex":
			l, err = redlock.NewMutex([]core.Scripter{sent}, "m", nil)
		case "rw":
			l, err = redlock.NewRWMutex([]core.Scripter{sent}, "m", nil)
		default:
			var s *semaphore.Semaphore
			if s, err = semaphore.New(sent, "m", 2, nil); err == nil {
				l = s.Locker()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		lease, err := l.TryLock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		for v, s := range scripts(t, kind, breakage{}) {
			if _, err := s.Run(t.Context(), here, nil, nil); err != nil {
				t.Fatal(err)
			}
			if v != acquire && v != release {
				clear(here.hashes)
				continue
			}
			for sha := range here.hashes {
				if !sent.hashes[sha] {
					t.Errorf("the library's %s %s is another script than the one that is checked", kind, v)
				}
			}
			clear(here.hashes)
		}
	}
}
