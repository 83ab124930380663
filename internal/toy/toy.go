// Package toy has a Scripter for the Examples in this module, which has no client: it plays
// one Redis server in memory. It runs no Lua, but knows by its name what a script is for,
// and has no queue and no time: what is held stays held until it is given back.
package toy

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redlatch/redlatch/core"
)

// A Redis is a server. The zero value is one without data.
type Redis struct {
	mu    sync.Mutex
	held  map[string][]string // owners by the key of the hold, each at its slot; "": a free one
	token int64
	away  bool
}

// Stop makes every call fail from now on, as if the server were away; Start ends that.
func (r *Redis) Stop() { r.set(true) }

// Start is the end of Stop.
func (r *Redis) Start() { r.set(false) }

func (r *Redis) set(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// Lose forgets all data, as a server does that restarts without persistence.
func (r *Redis) Lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = nil
}

// EvalSha has no script cached.
func (r *Redis) EvalSha(context.Context, string, []string, []string) ([]int64, error) {
	return nil, core.ErrNoScript
}

// Eval does what the script would.
func (r *Redis) Eval(_ context.Context, source string, keys, args []string) ([]int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return nil, errors.New("connection refused")
	}
	if r.held == nil {
		r.held = map[string][]string{}
	}
	hold, owner, now := keys[0], args[0], time.Now().UnixMicro()
	at := slices.Index(r.held[hold], owner)
	is := func(verb string) bool { return strings.Contains(source, "-- "+verb+".lua:") }
	switch {
	case is("acquire"):
		return r.acquire(keys, args, now), nil
	case is("available"):
		limit, taken := r.room(keys, args[1])
		return []int64{1, now, int64(limit - taken)}, nil
	case is("extend") && at < 0:
		return []int64{0, now}, nil
	case (is("release") || is("remove")) && at >= 0:
		r.held[hold][at] = ""
	}
	return []int64{1, now}, nil
}

func (r *Redis) acquire(keys, args []string, now int64) []int64 {
	limit, taken := r.room(keys, args[1])
	if taken >= limit {
		return []int64{0, now, -1, -1, 1, 0}
	}
	owners := r.held[keys[0]]
	at := slices.Index(owners, "")
	if at < 0 {
		at, owners = len(owners), append(owners, "")
	}
	owners[at] = args[0]
	r.held[keys[0]] = owners
	token, slot := int64(0), int64(-1)
	if args[4] != "0" {
		r.token++
		token = r.token
	}
	if _, err := strconv.Atoi(args[1]); err == nil {
		slot = int64(at)
	}
	return []int64{1, now, token, slot, 0}
}

// room returns how many may hold the lock at a time, and how many do. The other side of a
// reader-writer lock takes all of it.
func (r *Redis) room(keys []string, param string) (limit, taken int) {
	switch param {
	case "w":
		limit = 1
	case "r":
		limit = 1 << 20
	default:
		limit, _ = strconv.Atoi(param)
	}
	if strings.Contains(keys[0], ":rw:") && count(r.held[keys[2]]) > 0 {
		return limit, limit
	}
	return limit, count(r.held[keys[0]])
}

func count(owners []string) (n int) {
	for _, o := range owners {
		if o != "" {
			n++
		}
	}
	return n
}
