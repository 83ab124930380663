package quorum_test

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
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
func counts(verb string, i int, reply []int64, err error) bool {
	switch {
	case err != nil || len(reply) < 2:
		return false
	case verb == "acquire":
		return len(reply) == 4 && reply[0] == 1 && reply[2] > 0 && reply[2] < 1<<53
	case verb == "probe":
		return len(reply) >= 3 && reply[2] == int64(i)
	default:
		return reply[0] == 1
	}
}

// FuzzReplies has servers that answer nonsense. Whatever they say, a lease has a
// majority of grants, and its deadline moves by extensions alone; nothing panics, and
// no goroutine is left.
func FuzzReplies(f *testing.F) {
	f.Add(uint8(1), []byte{})
	f.Add(uint8(3), []byte{})
	f.Add(uint8(3), []byte{90, 90, 90})
	f.Add(uint8(1), []byte{116, 0, 1, 1, 0, 1, 0, 0})
	f.Add(uint8(3), []byte{84, 84, 84, 84, 84, 84, 84, 84, 84})
	f.Add(uint8(5), []byte{113, 0, 1, 114, 0, 1, 0, 1, 115, 0, 1, 0, 1, 0, 255, 116, 0, 255, 0, 1})
	f.Add(uint8(3), []byte("\x00\x00\x00\x00\x00\x00\x00\x60\x02\x02\xff\xff\xff\xff\xff\xff\xff\x7f\x60\x02\x02\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, nodes uint8, data []byte) {
		n := int(nodes)%5 + 1
		virtual(t, func(t *testing.T) {
			ss := servers(n)
			var mu sync.Mutex
			seen := map[string]int{} // answers that count, by verb
			for i, s := range ss {
				// Each server has bytes of its own, so that the order of calls does not matter.
				source := &nonsense{data[len(data)*i/n : len(data)*(i+1)/n]}
				s.onAll(func(c *call) ([]int64, error) {
					time.Sleep(time.Duration(i) * time.Microsecond)
					mu.Lock()
					defer mu.Unlock()
					if seen["all"]++; seen["all"] == 5000 {
						t.Error("thousands of calls for one lease")
					}
					reply, err := source.reply(c)
					if counts(c.verb, i, reply, err) {
						seen[c.verb]++
					}
					return reply, err
				})
			}
			count := func(verb string) int {
				mu.Lock()
				defer mu.Unlock()
				return seen[verb]
			}
			began := time.Now()
			lease, err := mutex(t, ss, nil).TryLock(t.Context())
			if (lease == nil) == (err == nil) {
				t.Fatalf("got %v, %v", lease, err)
			}
			if err != nil {
				return
			}
			if q := n/2 + 1; count("acquire") < q || n > 1 && count("probe") < q {
				t.Errorf("a lease with %d grants and %d probes of %d nodes", count("acquire"), count("probe"), n)
			}
			if lease.Token() <= 0 || lease.Token() >= 1<<53 {
				t.Errorf("got the token %d", lease.Token())
			}
			most := began.Add(worth + time.Millisecond)
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
