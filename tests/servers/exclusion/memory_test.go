package exclusion_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// reader is the thing that many may have at a time.
var reader = thing{
	name: "reader",
	make: func(p *redlatch.Provider, name string) (core.Locker, error) {
		rw := p.RWMutex(name)
		return rw.RLocker(), nil
	},
	hold: func(key string) string { return keys.Siblings(key, "rw:readers")[0] },
	kind: "rw",
}

// On a server whose memory is full and that evicts nothing, leases live on and can be given
// back, those who stand in line stay there, leave, and take what they are called for, and
// nobody else gets anything.
func TestMemoryFull(t *testing.T) {
	t.Parallel()
	for _, image := range redistest.Images(t) {
		t.Run(string(image), func(t *testing.T) {
			t.Parallel()
			f := start(t, 1, &redistest.Config{Image: image})
			redistest.NeedReal(t, f.servers)
			redistest.NeedFaults(t, f.servers) // given servers are not to be changed
			type use struct {
				*subject
				behind  thing // what waits
				lease   *core.Lease
				left    *clients.Pending
				waiting *clients.Pending
			}
			uses := []*use{{behind: things[0]}, {behind: things[1]}, {behind: things[1]}, {behind: things[2]}}
			for i, th := range []thing{things[0], things[1], reader, things[2]} {
				u := uses[i]
				u.subject = &subject{th, f, ""}
				name := u.named("full")
				u.lease = lock(t, u.elsewhere(t, name, brief))
				behind := &subject{u.behind, f, ""}
				queue := func(n int64) {
					eventually(t, soon, "it stands in line", func() bool { return f.raw[0].ZCard(t.Context(), u.queueKey(name)).Val() == n })
				}
				u.left = clients.Wait(t, behind.elsewhere(t, name, brief).Lock)
				queue(1)
				u.waiting = clients.Wait(t, behind.elsewhere(t, name, brief).Lock)
				queue(2)
			}
			for setting, value := range map[string]string{"maxmemory-policy": "noeviction", "maxmemory": "1"} {
				if err := f.raw[0].ConfigSet(t.Context(), setting, value).Err(); err != nil {
					t.Fatal(err)
				}
			}
			full := time.Now()
			for _, u := range uses {
				var node *core.NodeError
				lease, err := u.elsewhere(t, u.named("newcomer"), brief).TryLock(t.Context())
				if !errors.As(err, &node) || !redis.HasErrorPrefix(node.Err, "OOM") {
					t.Errorf("%s: a newcomer got %v, %v, want a node's OOM", u.name, lease, err)
				}
			}
			for _, u := range uses {
				eventually(t, 5*soon, u.name+": the lease has been extended since, for all of its expiry", func() bool {
					return u.lease.Context().Err() != nil || u.lease.ValidUntil().After(full.Add(2*brief.Expiry))
				})
				if err := u.lease.Context().Err(); err != nil {
					t.Errorf("%s: the lease ended: %v", u.name, context.Cause(u.lease.Context()))
				}
				if u.left.Done() || u.waiting.Done() {
					t.Errorf("%s: one that waits has come back", u.name)
				}
				u.left.Cancel()
				_, _ = u.left.Result()
				name := u.named("full")
				eventually(t, soon, u.name+": one has left the line", func() bool { return f.raw[0].ZCard(t.Context(), u.queueKey(name)).Val() == 1 })
				release(t, u.lease)
				lease, err := u.waiting.Result()
				if err != nil {
					t.Errorf("%s: the one that was called: %v", u.name, err)
					continue
				}
				release(t, lease)
			}
			all, err := f.raw[0].Keys(t.Context(), "*").Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range all {
				if !strings.HasSuffix(key, ":meta") {
					t.Errorf("%s is left", key)
				}
			}
		})
	}
}
