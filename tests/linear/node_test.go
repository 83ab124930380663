package linear_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/internal/protocol"
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
func scripts(t *testing.T, kind string, broken breakage) map[verb]*protocol.Script {
	t.Helper()
	var parts [3]string
	found := broken == breakage{}
	for i, name := range sources[kind] {
		if name == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(name)))
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
	k := protocol.NewKind(parts[0], parts[1], parts[2])
	return map[verb]*protocol.Script{acquire: k.Acquire, extend: k.Extend, repair: k.Repair, release: k.Release}
}

// names returns the keys that a call is given, as package hold orders them.
func names(c call, name string) []string {
	hold, own := name, []string(nil)
	switch sides := keys.Siblings(name, "rw:writer", "rw:readers"); {
	case c.kind == "semaphore":
		own = keys.Siblings(name, "semaphore:slots")
	case c.kind == "rw" && c.read:
		hold, own = sides[1], sides[:1]
	case c.kind == "rw":
		hold, own = sides[0], sides[1:]
	}
	all := slices.Concat([]string{hold}, keys.Siblings(name, c.kind+":meta"), own, keys.Siblings(name, c.kind+":queue", c.kind+":tickets"))
	switch {
	case c.verb != extend:
		return all
	case c.read:
		return all[:1]
	case c.kind == "semaphore":
		return all[:3]
	}
	return all[:2]
}

// connect returns a node at addr with one connection on which nothing is sent twice.
func connect(t *testing.T, addr string) core.Scripter {
	t.Helper()
	r := redis.NewClient(&redis.Options{
		Addr: addr, PoolSize: 1, MaxRetries: -1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { r.Close() })
	return once{r}
}

// once sends each call once. The adapters send a call again whose connection broke.
type once struct{ client *redis.Client }

func (o once) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	return o.run(ctx, "evalsha", sha1, keys, args)
}

func (o once) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return o.run(ctx, "eval", source, keys, args)
}

func (o once) run(ctx context.Context, command, script string, keys, args []string) ([]int64, error) {
	wire := []any{command, script, len(keys)}
	for _, s := range slices.Concat(keys, args) {
		wire = append(wire, s)
	}
	reply, err := o.client.Do(ctx, wire...).Int64Slice()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		err = fmt.Errorf("%w: %w", core.ErrNoScript, err)
	}
	return reply, err
}

// library records which scripts a lock of the library sends by hash.
type library struct {
	core.Scripter
	hashes map[string]bool
}

func (l library) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	l.hashes[sha1] = true
	return []int64{1, time.Now().UnixMicro(), 1, 0, 0}, nil
}
