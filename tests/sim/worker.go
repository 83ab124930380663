package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
)

// A door is one way to take one lock, from one client.
type door struct {
	core.Locker
	provider  *provider
	request   checker.Request
	register  *Register                          // what an exclusive lock protects; else nil
	available func(context.Context) (int, error) // of a semaphore; else nil
}

// A worker takes locks of one client at random, one after another.
type worker struct {
	run    *run
	client *Client
	rng    *rand.Rand
	life   context.Context // ends when the client is killed, and at the end of the run
}

func (w *worker) upTo(d time.Duration) time.Duration {
	return time.Duration(w.rng.Int64N(int64(d) + 1))
}

// work goes on until the worker's life ends.
func (w *worker) work() {
	for wait(w.life, w.pause(), nil) == nil {
		calm := w.run.calm.Load()
		doors := w.client.provider.Load().doors
		switch x := w.rng.IntN(60); {
		case x < 3 && !calm:
			w.both(doors)
		case x == 3 && w.run.plan.has(Closed):
			w.reopen()
		default:
			w.turn(doors[w.rng.IntN(len(doors))])
		}
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
	calm, settled := w.run.calm.Load(), w.run.settled.Load()
	locker, try, patient, within := d.Locker, false, false, time.Duration(0)
	switch x := w.rng.IntN(10); {
	case x < 2:
		try = true
	case x < 5 && w.run.plan.has(Cancelled) && !calm:
		timer := time.AfterFunc(w.upTo(2*w.run.plan.Expiry), func() {
			w.run.stats.Count(Cancelled)
			cancel()
		})
		defer timer.Stop()
	case x < 6 && !calm:
		ctx, cancel = context.WithTimeout(w.life, w.upTo(4*w.run.plan.Expiry))
		defer cancel()
	case x < 7 && !calm:
		if w.rng.IntN(4) > 0 { // else one attempt
			within = w.upTo(w.run.plan.Expiry / 2)
		}
		locker = core.Within(locker, within)
	default:
		patient = true
	}

	began := time.Now()
	attempt := w.run.history.Ask(d.request)
	use := func(lease *core.Lease) (release func()) {
		attempt.Granted(lease)
		w.run.stats.Grants.Add(1)
		w.ended(d, began, ctx, nil)
		if (lease.Token() > 0) == (d.request.Kind == checker.Shared) {
			w.run.fail("%s by %s: got the token %d", d.request.Name, d.request.Client, lease.Token())
		}
		w.hold(d, lease)
		return func() {
			w.releasedBy(d, lease)
			attempt.Released()
		}
	}
	var lease *core.Lease
	var err error
	switch {
	case try:
		lease, err = locker.TryLock(ctx)
	case w.rng.IntN(4) == 0:
		var called bool
		if called, err = w.do(ctx, locker, use); called {
			w.sound(d.request.Name, err)
			return
		}
	default:
		lease, err = locker.Lock(ctx)
	}
	if err != nil {
		attempt.GaveUp()
		w.ended(d, began, ctx, err)
		w.outlasted(d, within, time.Since(began), err)
		w.judge(d, ctx, err, patient && settled)
		var node *core.NodeError
		if errors.Is(err, core.ErrNotAcquired) && errors.As(err, &node) {
			w.run.fail("%s: is it others, or the nodes? %v", d.request.Name, err)
		}
		return
	}
	release := use(lease)
	if w.client.Killed() {
		return // nobody is left to release it
	}
	release()
	w.release(lease)
}

// outlasted judges how long a wait within bounds took.
func (w *worker) outlasted(d door, within, took time.Duration, err error) {
	switch {
	case within == 0:
	case took > within:
		w.run.fail("%s: Within %v came back after %v", d.request.Name, within, took)
	case took == within && errors.Is(err, core.ErrNotAcquired) && errors.Is(err, context.DeadlineExceeded):
		w.run.stats.Withins.Add(1)
	}
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
	if d.available != nil && w.rng.IntN(4) == 0 {
		w.count(d, lease)
	}
	w.busy(ctx)
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

// count asks how many permits are free, while the worker holds one: not all of them.
func (w *worker) count(d door, lease *core.Lease) {
	settled := w.run.settled.Load()
	n, err := d.available(w.life)
	if err != nil {
		w.sound(d.request.Name, err)
		if settled && w.life.Err() == nil && !errors.Is(err, core.ErrClosed) {
			w.run.fail("%s: Available failed in the calm: %v", d.request.Name, err)
		}
		return
	}
	w.run.stats.Counted.Add(1)
	most := d.request.Limit
	// A node under the guard may have lost a permit that its holder has not missed yet.
	if lease.Context().Err() == nil && w.run.plan.Guard == 0 && w.run.plan.Broken == None {
		most--
	}
	if n < 0 || n > most {
		w.run.fail("%s: got %d permits free, %d at most", d.request.Name, n, most)
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
	var node *core.NodeError
	failed, shut := errors.As(err, &node), errors.Is(err, core.ErrClosed)
	if !errors.Is(err, core.ErrNotAcquired) && !failed && !shut && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
		w.run.fail("%s: the context's error is %v and the lock's %v", d.request.Name, ctx.Err(), err)
	}
	if ctx.Err() == nil && errors.Is(err, core.ErrNotAcquired) && !failed {
		w.run.stats.Refusals.Add(1)
	}
	if patient && ctx.Err() == nil && !shut {
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
	if string(reply) == nonLocal || slices.Contains(passing, string(reply)) {
		return
	}
	for _, text := range refusals {
		if string(reply) == text {
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

// busy is the time for which a holder needs its lock, by when it got the lock.
func (w *worker) busy(ctx context.Context) {
	most := w.run.plan.Hold
	if w.run.calm.Load() {
		most = min(most, calmHold)
	}
	wait(ctx, w.upTo(most), nil)
}
