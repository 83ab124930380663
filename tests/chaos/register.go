//go:build unix

package chaos

import (
	"fmt"
	"sync"
)

// registers are the resources that the locks protect: one number per name, guarded by
// the fencing token. Reading tells the register of the token, too: a holder that has
// read must not be overtaken by the late write of an earlier one.
type registers struct {
	mu      sync.Mutex
	of      map[string]*register
	written int
	refused int
	wrong   []error
}

type register struct{ token, value int64 }

func (r *registers) at(name string) *register {
	if r.of == nil {
		r.of = map[string]*register{}
	}
	if r.of[name] == nil {
		r.of[name] = &register{}
	}
	return r.of[name]
}

// read returns the number; false: the token is stale.
func (r *registers) read(name string, token int64) (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.at(name)
	if token < g.token {
		return 0, false
	}
	g.token = token
	return g.value, true
}

// write adds 1 to base, which is what the writer has read, and stores it; false: the
// token is stale.
func (r *registers) write(name string, token, base int64, who string) (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.at(name)
	if token < g.token {
		r.refused++
		return 0, false
	}
	if base != g.value {
		r.wrong = append(r.wrong, fmt.Errorf("chaos: %s wrote to %q with token %d after reading %d, but the value is %d by now: an update is lost",
			who, name, token, base, g.value))
	}
	g.token, g.value = token, base+1
	r.written++
	return g.value, true
}
