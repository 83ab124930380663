package virtual_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

// remaining makes the hold's TTL look like ms to a script.
const remaining = `
local server = redis
local redis = {pcall = server.pcall, error_reply = server.error_reply}
function redis.call(command, key, ...)
  if command == 'PTTL' and (key == 'm' or key == '{m}:rw:writer') then return %d end
  if key == nil then return server.call(command) end
  return server.call(command, key, ...)
end
`

// A hold may be there and have no time left, in its last millisecond, and it may have no TTL,
// where another program has made it. The first in line comes again at once for the one, and
// polls for the other.
func TestTimeLeftOfAHold(t *testing.T) {
	for _, c := range []struct {
		ttl         int
		least, most int32 // attempts within 100 ms
	}{{0, 20, 100}, {-1, 2, 5}, {50, 3, 7}} {
		for _, k := range fourKinds[:3] {
			t.Run(fmt.Sprint(k.name, ", ", c.ttl, " ms"), func(t *testing.T) {
				in(t, 1, func(w *world) {
					w.do(w.Nodes[0], "SET", k.hold, "another program")
					if k.name == "reader" {
						w.do(w.Nodes[0], "DEL", k.hold)
						w.do(w.Nodes[0], "SET", "{m}:rw:writer", "another program")
					}
					var asked atomic.Int32
					cl := w.client(core.Options{MinBusyWait: time.Hour, MaxBusyWait: time.Hour}, func(tp *tap) {
						tp.edit = func(source string) string { return fmt.Sprintf(remaining, c.ttl) + source }
						tp.call = func(verb string, pass func() ([]int64, error)) ([]int64, error) {
							if verb == "acquire" {
								asked.Add(1)
							}
							return pass()
						}
					})
					wt := w.wait(k.lock(cl).Lock)
					time.Sleep(100*time.Millisecond - near)
					if n := asked.Load(); n < c.least || n > c.most {
						w.Errorf("%d attempts within 100 ms, want %d to %d", n, c.least, c.most)
					}
					wt.leave()
					time.Sleep(near)
					w.do(w.Nodes[0], "DEL", "m", "{m}:rw:writer")
				})
			})
		}
	}
}
