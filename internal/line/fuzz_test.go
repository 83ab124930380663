package line_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/hold"
	"github.com/redlatch/redlatch/internal/line"
)

// nonsense makes replies out of a fuzzer's bytes.
type nonsense struct{ data []byte }

func (n *nonsense) byte() byte {
	if len(n.data) == 0 {
		return 0
	}
	b := n.data[0]
	n.data = n.data[1:]
	return b
}

// reply returns what a server might answer: the right thing, an error, or any array.
func (n *nonsense) reply(c *call) ([]int64, error) {
	switch kind := n.byte(); {
	case kind < 64:
		return c.run(), nil
	case kind < 80:
		return nil, errors.New(string(rune(kind)))
	case kind < 88:
		return nil, nil
	case kind < 96:
		return nil, core.ErrNoScript
	case kind < 112:
		r := c.run()
		r[int(n.byte())%len(r)] = n.number()
		return r, nil
	default:
		r := make([]int64, kind%8)
		for i := range r {
			r[i] = n.number()
		}
		return r, nil
	}
}

func (n *nonsense) number() int64 {
	switch b := n.byte(); b % 4 {
	case 0:
		return int64(int8(n.byte()))
	case 1:
		return time.Now().UnixMicro()
	default:
		var eight [8]byte
		for i := range eight {
			eight[i] = n.byte()
		}
		return int64(binary.LittleEndian.Uint64(eight[:]))
	}
}

// counts reports whether the i-th node's reply is one that a claim may rest on.
func counts(verb string, i int, reply []int64, err error, fenced bool) bool {
	switch {
	case err != nil || len(reply) < 2:
		return false
	case verb == "acquire":
		return len(reply) == 5 && reply[0] == 1 && reply[2] >= 0 && reply[2] < 1<<53 && (reply[2] > 0) == fenced
	case verb == "probe":
		return len(reply) >= 3 && reply[2] == int64(i)
	default:
		return reply[0] == 1
	}
}

// permits is the limit of the semaphore under test.
const permits = 2

// specs are the kinds of lock whose replies differ.
var specs = []hold.Spec{
	{Kind: hands, Named: "mutex", Param: "w", Stand: 2, Fenced: true},
	{Kind: hands, Named: "rw", Param: "r", Hold: "readers", Stand: 2, Extra: "writer", Shared: true},
	{Kind: hands, Named: "semaphore", Param: strconv.Itoa(permits), Stand: 3, Extra: "slots", Fenced: true},
}

// listening is a server that can be subscribed to, and says one thing.
type listening struct {
	*server
	says string
}

// Subscribe implements core.Subscriber.
func (s listening) Subscribe(ctx context.Context, _ string, ready func(), deliver func(string)) error {
	ready()
	deliver(s.says)
	<-ctx.Done()
	return ctx.Err()
}

// FuzzReplies has servers that answer nonsense. Whatever they say, TryLock comes back, and
// Lock by its deadline, neither asking without a pause; a lease has a majority of grants of
// one attempt, and its deadline moves by extensions alone; nothing panics, and no goroutine
// is left. how says what is locked, whether that waits, and whether there are subscriptions.
func FuzzReplies(f *testing.F) {
	for how := range uint8(12) {
		f.Add(uint8(0), how, []byte{})
		f.Add(uint8(2), how, []byte{})
		f.Add(uint8(2), how, []byte{90, 90, 90})
		f.Add(uint8(0), how, []byte{116, 0, 1, 1, 0, 1, 0, 0})
		f.Add(uint8(2), how, []byte{84, 84, 84, 84, 84, 84, 84, 84, 84})
		f.Add(uint8(4), how, []byte{113, 0, 1, 114, 0, 1, 0, 1, 115, 0, 1, 0, 1, 0, 255, 116, 0, 255, 0, 1})
		f.Add(uint8(2), how, []byte("\x00\x00\x00\x00\x00\x00\x00\x60\x02\x02\xff\xff\xff\xff\xff\xff\xff\x7f\x60\x02\x02\xff\xff\xff\xff\xff\xff\xff\xff"))
		f.Add(uint8(0), how, []byte{116, 0, 1, 1, 0, 0, 0, 255}) // granted without a token
		// Refusals: free in a moment, never, and in a time that overflows; places far back and
		// before the first.
		f.Add(uint8(0), how, bytes.Repeat([]byte{117, 0, 0, 1, 0, 1, 0, 0, 0, 1}, 40))
		f.Add(uint8(0), how, bytes.Repeat([]byte("\x75\x00\x00\x01\x02\xff\xff\xff\xff\xff\xff\xff\x7f\x02\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x01"), 40))
		f.Add(uint8(0), how, bytes.Repeat([]byte("\x75\x00\x00\x01\x02\x00\x00\x00\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x80\x00\x02"), 40))
	}
	f.Fuzz(func(t *testing.T, nodes, how uint8, data []byte) {
		spec := specs[how%3]
		waits, subscribes := how/3%2 == 1, how/6%2 == 1
		n := int(nodes)%5 + 1
		if spec.Named == "semaphore" {
			n = 1
		}
		virtual(t, func(t *testing.T) {
			ss := servers(n)
			scripters := make([]core.Scripter, n)
			var mu sync.Mutex
			seen := map[string]int{}           // answers that count, by verb
			grants := map[string]map[int]int{} // that count, by owner and node
			var instant time.Time
			atOnce := 0 // calls at that instant
			for i, s := range ss {
				if scripters[i] = s; subscribes {
					scripters[i] = listening{s, string(data)}
				}
				// Each server has bytes of its own, so that the order of calls does not matter.
				source := &nonsense{data[len(data)*i/n : len(data)*(i+1)/n]}
				s.onAll(func(c *call) ([]int64, error) {
					time.Sleep(time.Duration(i) * time.Microsecond)
					mu.Lock()
					defer mu.Unlock()
					if now := time.Now(); !now.Equal(instant) {
						instant, atOnce = now, 0
					}
					if atOnce++; atOnce == 20 {
						t.Error("call after call without a pause")
					}
					reply, err := source.reply(c)
					if c.verb == "acquire" && err == nil && len(reply) == 5 && spec.Named == "rw" {
						reply[2] = 0 // a reader has no token
					}
					if counts(c.verb, i, reply, err, spec.Named != "rw") {
						seen[c.verb]++
						if c.verb == "acquire" {
							if grants[c.owner] == nil {
								grants[c.owner] = map[int]int{}
							}
							grants[c.owner][i]++
						}
					}
					return reply, err
				})
			}
			count := func(verb string) int {
				mu.Lock()
				defer mu.Unlock()
				if verb != "acquire" {
					return seen[verb]
				}
				most := 0 // nodes that have granted to one attempt
				for _, by := range grants {
					most = max(most, len(by))
				}
				return most
			}
			lock, err := line.NewLock(scripters, "m", nil, spec)
			if err != nil {
				t.Fatal(err)
			}
			const patience = 10 * time.Second
			began := time.Now()
			var lease *core.Lease
			if waits {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				lease, err = lock.Lock(ctx)
			} else {
				lease, err = lock.TryLock(t.Context())
			}
			switch took := time.Since(began); {
			case waits && took > patience:
				t.Errorf("Lock took %v, its context %v", took, patience)
			case !waits && took > window+window/32:
				t.Errorf("TryLock took %v, the window is %v", took, window)
			}
			if (lease == nil) == (err == nil) {
				t.Fatalf("got %v, %v", lease, err)
			}
			if err != nil {
				return
			}
			if q := n/2 + 1; count("acquire") < q || n > 1 && count("probe") < q {
				t.Errorf("a lease with %d grants and %d probes of %d nodes", count("acquire"), count("probe"), n)
			}
			if token := lease.Token(); (token > 0) != (spec.Named != "rw") || token < 0 || token >= 1<<53 {
				t.Errorf("got the token %d", token)
			}
			most := began.Add(worth + time.Millisecond)
			if waits { // for an attempt that began later
				most = time.Now().Add(worth)
			}
			if lease.ValidUntil().After(most) {
				t.Errorf("the deadline is %v late", lease.ValidUntil().Sub(most))
			}
			writtenBack := count("extend")
			time.Sleep(cadence + window)
			if q := n/2 + 1; lease.ValidUntil().After(most) && count("extend") < writtenBack+q {
				t.Errorf("the deadline moved by %d extensions of %d nodes", count("extend")-writtenBack, n)
			}
			_ = lease.Release(t.Context())
		})
	})
}
