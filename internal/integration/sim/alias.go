package sim

import (
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

// digest identifies a call that a client makes now by what it says. An id used for the
// first time gets its alias from what the calls that first use it have in common: an
// attempt's go to several nodes at one instant, in any order, and differ in their words.
func (a *aliases) digest(client int, label string, args []string) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	common := Dice(0).Named(label).Of(uint64(time.Now().UnixNano()), uint64(client))
	for _, arg := range args {
		if alias, known := a.of[arg]; known {
			common = common.Of(uint64(alias))
		}
	}
	d := Dice(0).Named(label)
	for i, arg := range args {
		if !isID(arg) {
			d = d.Named(arg)
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
