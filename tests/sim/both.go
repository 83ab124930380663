package sim

import (
	"context"
	"errors"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
)

// both takes two locks at once. The history has no waits of these, since it is
// not known from outside which of the two is being waited for.
func (w *worker) both(all []door) {
	i := w.rng.IntN(len(all))
	j := (i + 1 + w.rng.IntN(len(all)-1)) % len(all)
	doors := []door{all[i], all[j]}
	if doors[0].request.Name == doors[1].request.Name {
		return // both sides of one reader-writer lock
	}
	ctx, cancel := context.WithTimeout(w.life, w.upTo(4*w.run.plan.Expiry))
	defer cancel()
	lease, err := core.LockAll(ctx, doors[0].Locker, doors[1].Locker)
	if errors.Is(err, core.ErrLost) { // one of them, while the other was waited for
		w.sound(doors[0].request.Name, err)
		return
	}
	if err != nil {
		w.judge(doors[0], ctx, err, false)
		return
	}
	var attempts []*checker.Attempt
	var grants, olds [2]int64
	for k, m := range lease.Members() {
		a := w.run.history.Ask(doors[k].request)
		a.Granted(m)
		attempts = append(attempts, a)
		w.run.stats.Grants.Add(1)
		if r := doors[k].register; r != nil {
			grants[k], olds[k] = r.Granted(), r.Read()
		}
	}
	held, stop := context.WithCancel(w.life)
	defer stop()
	defer context.AfterFunc(lease.Context(), stop)()
	w.busy(held)
	for k, m := range lease.Members() {
		if r := doors[k].register; r != nil && m.Context().Err() == nil && !w.client.Killed() {
			r.Update(olds[k])
			r.Write(m.Token(), grants[k])
		}
	}
	if w.client.Killed() {
		return
	}
	w.releasedBy(doors[0], lease)
	for _, a := range attempts {
		a.Released()
	}
	w.release(lease)
}
