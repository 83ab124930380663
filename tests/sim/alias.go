package sim

import (
	"context"
	"strings"
	"sync"
	"time"
)

// aliases stand for the ids of owners and tickets when calls are told apart.
// Which of two goroutines draws which id at one instant depends on the
// scheduler; where and when an id is first used does not.
type aliases struct {
	mu    sync.Mutex
	of    map[string]Dice
	first map[Dice]uint64 // ids first used in a circumstance
}

func newAliases() *aliases {
	return &aliases{of: map[string]Dice{}, first: map[Dice]uint64{}}
}

// digest identifies what is called now, by whom and with what words. An id used for the
// first time gets its alias from what the calls that first use it have in common: an
// attempt's go to several nodes at one instant, in any order, and differ in their words.
func (a *aliases) digest(d Dice, args []string) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	common := d.Of(uint64(time.Now().UnixNano()))
	for _, arg := range args {
		if alias, known := a.of[arg]; known {
			common = common.Of(uint64(alias))
		}
	}
	for i, arg := range args {
		if !isID(arg) {
			d = d.Named(nameless(arg))
			continue
		}
		alias, known := a.of[arg]
		if !known {
			alias = common.Of(uint64(i))
			a.first[alias]++
			alias = alias.Of(a.first[alias])
			a.of[arg] = alias
		}
		d = d.Of(uint64(alias))
	}
	return uint64(d)
}

// nameless is a word without the id of a provider, which ends the names of its channel and
// of the key of its probes.
func nameless(word string) string {
	if i := strings.LastIndexByte(word, ':'); i >= 0 && isID(word[i+1:]) {
		return word[:i]
	}
	return word
}

// callerKey is the context key for the number of the caller among those of its client.
type callerKey struct{}

// calledBy returns a context for the calls of a caller. The library hands its values on to
// the calls that it makes for the caller, so calls of one instant that are alike are told
// apart by whom they are for, and not by the order in which chance makes them.
func calledBy(ctx context.Context, caller int) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// caller is whom a call is for; 0: nobody in particular, as a probe, which is for all that
// wait for it.
func caller(ctx context.Context, key string) int {
	if nameless(key) != key {
		return 0
	}
	number, _ := ctx.Value(callerKey{}).(int)
	return number
}

// isID tells whether an argument is an id: 128 bits in hexadecimal.
func isID(arg string) bool {
	if len(arg) != 32 {
		return false
	}
	for _, c := range []byte(arg) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
