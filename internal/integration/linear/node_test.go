package linear_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/internal/script"
)

// sources are the Lua files that each kind is made of, as its package builds it: the
// kind, the quick acquire, the quick release.
var sources = map[string][3]string{
	"mutex":     {"redlock/lua/mutex.lua", "redlock/lua/mutex_acquire.lua", "redlock/lua/mutex_release.lua"},
	"rw":        {"redlock/lua/rw.lua"},
	"semaphore": {"semaphore/lua/semaphore.lua"},
}

// A breakage is an edit of a kind's Lua.
type breakage struct{ old, new string }

// scripts returns the scripts of a kind, by verb.
func scripts(t *testing.T, kind string, broken breakage) map[verb]*script.Script {
	t.Helper()
	var parts [3]string
	found := broken == breakage{}
	for i, name := range sources[kind] {
		if name == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("../../..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = string(text)
		if broken.old != "" && strings.Contains(parts[i], broken.old) {
			parts[i], found = strings.Replace(parts[i], broken.old, broken.new, 1), true
		}
	}
	if !found {
		t.Fatalf("no %q in the Lua of the %s", broken.old, kind)
	}
	k := script.NewKind(parts[0], parts[1], parts[2])
	return map[verb]*script.Script{acquire: k.Acquire, extend: k.Extend, repair: k.Repair, release: k.Release}
}

// names returns the keys of a lock, as package quorum orders them.
func names(kind, name string) []string {
	hold, extra := name, map[string]string{"rw": "rw:readers", "semaphore": "semaphore:slots"}[kind]
	if kind == "rw" {
		hold = keys.Siblings(name, "rw:writer")[0]
	}
	all := append([]string{hold}, keys.Siblings(name, kind+":meta", kind+":queue", kind+":tickets")...)
	if extra != "" {
		all = append(all, keys.Siblings(name, extra)...)
	}
	return all
}

// connect returns a node at addr with one connection on which nothing is sent twice.
func connect(t *testing.T, addr string) core.Scripter {
	t.Helper()
	r := redis.NewClient(&redis.Options{
		Addr: addr, PoolSize: 1, MaxRetries: -1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { r.Close() })
	return goredis.New(r)
}

// library records which scripts a lock of the library sends by hash.
type library struct {
	core.Scripter
	hashes map[string]bool
}

func (l library) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	l.hashes[sha1] = true
	return []int64{1, time.Now().UnixMicro(), 1, 0}, nil
}
