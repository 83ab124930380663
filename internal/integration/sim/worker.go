package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
)

// A door is one way to take one lock, from one client.
type door struct {
	core.Locker
	request  checker.Request
	register *Register // what an exclusive lock protects; else nil
}

// A worker takes locks of one client at random, one after another.
type worker struct {
	run    *run
	client *Client
	rng    *rand.Rand
	doors  []door
	life   context.Context // ends when the client is killed, and at the end of the run
}

func (w *worker) upTo(d time.Duration) time.Duration {
	return time.Duration(w.rng.Int64N(int64(d) + 1))
}

// work goes on until the worker's life ends.
func (w *worker) work() {
	for wait(w.life, w.pause(), nil) == nil {
		if w.rng.IntN(20) == 0 && !w.run.calm.Load() {
			w.both()
			continue
		}
		w.turn(w.doors[w.rng.IntN(len(w.doors))])
	}
}

func (w *worker) pause() time.Duration {
	if w.run.calm.Load() {
		return w.upTo(max(w.run.plan.Pause, calmPause))
	}
	return w.upTo(w.run.plan.Pause)
}

// turn takes a lock once, or tries to.
func (w *worker) turn(d door) {
	ctx, cancel := context.WithCancel(w.life)
	defer cancel()
	take := d.Lock
	patient := false
	switch x := w.rng.IntN(10); {
	case x < 2:
		take = d.TryLock
	case x < 5 && w.run.plan.has(Cancelled) && !w.run.calm.Load():
		timer := time.AfterFunc(w.upTo(2*w.run.plan.Expiry), func() {
			w.run.stats.Count(Cancelled)
			cancel()
		})
		defer timer.Stop()
	case x < 7 && !w.run.calm.Load():
		ctx, cancel = context.WithTimeout(w.life, w.upTo(4*w.run.plan.Expiry))
		defer cancel()
	default:
		patient = true
	}

	settled := w.run.settled.Load()
	attempt := w.run.history.Ask(d.request)
	lease, err := take(ctx)
	if err != nil {
		attempt.GaveUp()
		w.judge(d, ctx, err, patient && settled)
		return
	}
	attempt.Granted(lease)
	w.run.stats.Grants.Add(1)
	if (lease.Token() > 0) == (d.request.Kind == checker.Shared) {
		w.run.fail("%s by %s: got the token %d", d.request.Name, d.request.Client, lease.Token())
	}
	w.hold(d, lease)
	if w.client.Killed() {
		return // nobody is left to release it
	}
	attempt.Released()
	w.release(lease)
}

// hold uses the lock for a while: at most until the lease ends, unless the
// worker does not watch it.
func (w *worker) hold(d door, lease *core.Lease) {
	r, token := d.register, lease.Token()
	held := lease.Context()
	var grant, old int64
	if r != nil {
		grant, old = r.Granted(), r.Read()
		if w.rng.IntN(2) == 0 {
			r.Write(token, grant)
		}
	}
	ctx, cancel := context.WithCancel(w.life)
	defer cancel()
	if w.rng.IntN(5) > 0 {
		defer context.AfterFunc(held, cancel)()
	}
	most := w.run.plan.Hold
	if w.run.calm.Load() {
		most = min(most, calmHold)
	}
	wait(ctx, w.upTo(most), nil)
	if r == nil {
		return
	}
	// The unguarded side: only while the lease is alive, at one instant.
	if lease.Context().Err() == nil && !w.client.Killed() {
		r.Update(old)
	}
	// The guarded side: a write may be on its way for as long as it likes, and
	// reach the register long after its sender has lost the lock, or died.
	if w.rng.IntN(3) == 0 {
		delay := w.upTo(2 * w.run.plan.Expiry)
		w.run.writes.Go(func() {
			time.Sleep(delay)
			r.Write(token, grant)
		})
	}
}

// release gives the lock back, at times with a context that has ended.
func (w *worker) release(lease *core.Lease) {
	ctx, cancel := context.WithCancel(w.life)
	defer cancel()
	if w.rng.IntN(4) == 0 {
		cancel()
	}
	before := time.Now()
	lost := isClosed(lease.Lost())
	err := lease.Release(ctx)
	if lost != errors.Is(err, core.ErrLost) {
		w.run.fail("%s: released with %v, lost before: %v", lease.Name(), err, lost)
	}
	if took := time.Since(before); took > w.run.plan.Expiry {
		w.run.fail("%s: the release took %v", lease.Name(), took)
	}
	w.sound(lease.Name(), err)
	if lease.Context().Err() == nil {
		w.run.fail("%s: the lease's context is alive after the release", lease.Name())
	}
}

// judge looks at an error of Lock or TryLock.
func (w *worker) judge(d door, ctx context.Context, err error, patient bool) {
	w.sound(d.request.Name, err)
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) && !errors.Is(err, core.ErrNotAcquired) {
		var node *core.NodeError
		if !errors.As(err, &node) {
			w.run.fail("%s: the context ended and the error is %v", d.request.Name, err)
		}
	}
	if patient && ctx.Err() == nil {
		w.run.fail("%s: Lock gave up in the calm: %v", d.request.Name, err)
	}
}

// sound finds error replies that no node sends on its own account: scripts must
// not fail.
func (w *worker) sound(name string, err error) {
	var reply ReplyError
	if !errors.As(err, &reply) {
		return
	}
	for _, p := range passing {
		if string(reply) == p {
			return
		}
	}
	if w.run.plan.Guard > 0 && strings.HasPrefix(string(reply), "GUARDED ") {
		return
	}
	w.run.fail("%s: a script failed: %v", name, err)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
