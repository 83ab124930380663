package line_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/line"
)

// slow is how long a lead's answer takes that this process hears late, since it has stood still:
// longer than answers usually take, with what this one adds to that. The lead says that others in
// its line come first. The other nodes' silence until then does not make an outage of that.
const slow = 300 * time.Millisecond

// used returns the lock on three nodes whose answers take a millisecond, as it knows.
func used(t *testing.T) ([]*server, *line.Lock) {
	ss := servers(3)
	for _, s := range ss {
		s.on("acquire", after(0, time.Millisecond))
		s.on("release", after(0, time.Millisecond))
	}
	l := mutex(t, ss, nil)
	free(t, take(t, l))
	return ss, l
}

// turn answers that others in line come first.
func turn(place int64) handler {
	return func(*call) ([]int64, error) {
		time.Sleep(slow)
		return []int64{0, time.Now().UnixMicro(), -1, place, 2, 0}, nil
	}
}

func TestLateTurnSendsAWaiterToTheLine(t *testing.T) {
	for name, crowded := range map[string]bool{"without a ticket": false, "with a ticket": true} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ss, l := used(t)
				if crowded {
					for _, s := range ss {
						s.seize(20 * time.Millisecond)
					}
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					_, err := l.Lock(ctx)
					cancel()
					if !errors.Is(err, core.ErrNotAcquired) {
						t.Fatalf("got %v of a lock that is held, want %v", err, core.ErrNotAcquired)
					}
					time.Sleep(20 * time.Millisecond)
				}
				ss[0].on("acquire", turn(-1))
				if crowded {
					ss[0].on("acquire", turn(0))
				}
				for _, s := range ss[1:] {
					s.on("acquire", after(0, 2*slow))
				}
				asked := len(ss[0].seen("acquire"))
				time.AfterFunc(slow+time.Millisecond, func() { ss[0].on("acquire", nil) })
				lease, err := l.Lock(t.Context())
				if err != nil {
					t.Fatalf("got %v, want a lease", err)
				}
				if got := len(ss[0].seen("acquire")) - asked; got < 2 {
					t.Errorf("the lead was asked %d times, want it to be asked again after it had refused", got)
				}
				free(t, lease)
			})
		})
	}
}

// One attempt does not wait in line, but as long as answers usually take for those that tell
// an outage from others.
func TestLateTurnAwaitsTheOthers(t *testing.T) {
	for _, answers := range []bool{true, false} {
		virtual(t, func(t *testing.T) {
			ss, l := used(t)
			ss[0].on("acquire", turn(-1))
			for _, s := range ss[1:] {
				s.seize(time.Minute)
				s.on("acquire", silent)
				if answers {
					s.on("acquire", after(0, slow+10*time.Millisecond))
				}
			}
			began := time.Now()
			_, err := l.TryLock(t.Context())
			took := time.Since(began)
			var node *core.NodeError
			switch {
			case answers && (!errors.Is(err, core.ErrNotAcquired) || took != slow+10*time.Millisecond):
				t.Errorf("got %v after %v, want %v when another node has refused", err, took, core.ErrNotAcquired)
			case !answers && (!errors.As(err, &node) || errors.Is(err, core.ErrNotAcquired) || took <= slow || took > 10*slow):
				t.Errorf("got %v after %v, want the silent nodes' errors, a while after the lead's answer", err, took)
			}
		})
	}
}
