package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Contest is a number of clients, each with connections of its own, that want one
// lock again and again.
type Contest struct {
	Clients int
	Each    int           // goroutines that use one client; 0: 1
	Hold    time.Duration // how long each holds it
	Pause   time.Duration // from its release to its next attempt
	For     time.Duration // how long it is measured, after a start that is not
}

// wanting is how many goroutines want the lock.
func (c Contest) wanting() int { return c.Clients * max(c.Each, 1) }

// HandOver is what a contest came to.
type HandOver struct {
	Contender   Contender
	Contest     Contest
	Grants      int
	PerSecond   float64
	IdleP50     time.Duration // between two holders, while somebody waited
	IdleP99     time.Duration
	Commands    float64       // sent by all clients, for a grant
	Upkeep      float64       // further commands for connections, a client and second
	CPU         time.Duration // of the server, for a grant
	Least, Most int           // grants of one client
	Median      int
}

// MeasureHandOver runs a contest on the first of the servers.
func MeasureHandOver(ctx context.Context, s *Servers, c Contender, contest Contest) (_ HandOver, err error) {
	var count Counter
	clients := make([]Client, contest.Clients)
	defer func() {
		for _, client := range clients {
			if client != nil {
				err = errors.Join(err, client.Close())
			}
		}
	}()
	const name = "hand-over"
	for i := range clients {
		if clients[i], err = c.Dial(s.Addrs(1), &count); err != nil {
			return HandOver{}, fmt.Errorf("%v: %w", c, err)
		}
		if err := clients[i].Hold(ctx, name, nil); err != nil { // connections, script caches
			return HandOver{}, fmt.Errorf("%v: %w", c, err)
		}
	}

	w := NewWitness(contest.wanting())
	running, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	errs := make([]error, contest.wanting())
	for i := range errs {
		wg.Go(func() {
			errs[i] = contest.take(running, clients[i%len(clients)], name, i, w)
			if errs[i] != nil {
				stop()
			}
		})
	}

	settle := min(contest.For/4, time.Second) + time.Duration(contest.wanting())*contest.Hold/4
	sleep(running, settle)
	cpu, err := s.cpu(ctx, 1)
	before, kept, began := count.Commands(), count.Upkeep(), time.Now()
	w.Record(true)
	sleep(running, contest.For)
	w.Record(false)
	sent, pings, took := count.Commands()-before, count.Upkeep()-kept, time.Since(began)
	after, err2 := s.cpu(ctx, 1)
	early := running.Err() != nil
	stop()
	wg.Wait()
	if err := errors.Join(append(errs, err, err2, w.Err(), ctx.Err())...); err != nil {
		return HandOver{}, fmt.Errorf("%v, %d clients: %w", c, contest.Clients, err)
	}
	if early {
		return HandOver{}, fmt.Errorf("%v, %d clients: ended early", c, contest.Clients)
	}
	h, err := w.sum(c, contest, took)
	if err != nil {
		return h, err
	}
	h.Commands = float64(sent) / float64(h.Grants)
	h.Upkeep = float64(pings) / took.Seconds() / float64(contest.Clients)
	h.CPU = (after - cpu) / time.Duration(h.Grants)
	return h, nil
}

// take is one client's part.
func (c Contest) take(ctx context.Context, client Client, name string, i int, w *Witness) error {
	for ctx.Err() == nil {
		w.Want()
		err := client.Hold(ctx, name, func() {
			w.Enter(i)
			time.Sleep(c.Hold)
			w.Leave(i)
		})
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = w.Err()
		}
		if err != nil {
			return err
		}
		sleep(ctx, c.Pause)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// sum is what the witness saw.
func (w *Witness) sum(c Contender, contest Contest, took time.Duration) (HandOver, error) {
	h := HandOver{Contender: c, Contest: contest}
	for _, n := range w.grants {
		h.Grants += n
	}
	if h.Grants == 0 {
		return h, fmt.Errorf("%v, %d clients: no grant within %v", c, contest.Clients, took)
	}
	h.PerSecond = float64(h.Grants) / took.Seconds()
	h.IdleP50, h.IdleP99 = Quantile(w.idle, 0.5), Quantile(w.idle, 0.99)
	h.Least, h.Median, h.Most = Quantile(w.grants, 0), Quantile(w.grants, 0.5), Quantile(w.grants, 1)
	return h, nil
}
