//go:build unix

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
)

// WorkIfAsked does the work of a worker process, and does not return, if this process
// was started as one. It comes first in main, or in TestMain, of every program that
// calls [Run]: the workers are that program again.
func WorkIfAsked() {
	text := os.Getenv(taskVariable)
	if text == "" {
		return
	}
	var t task
	err := json.Unmarshal([]byte(text), &t)
	if err == nil {
		err = work(t)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos: worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A worker is one process that takes locks.
type worker struct {
	task
	clock  clock
	out    *lines
	ctx    context.Context // ends when the worker is to end
	calm   atomic.Bool
	lastID atomic.Int64

	mu      sync.Mutex
	waiting map[int64]chan order // for the register's answers
	holds   map[int64]*core.Lease
}

func work(t task) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := &worker{
		task: t, clock: newClock(), out: newLines(os.Stdout), ctx: ctx,
		waiting: map[int64]chan order{}, holds: map[int64]*core.Lease{},
	}
	go w.listen(cancel)

	var nodes []core.Scripter
	var ends []func()
	for _, addr := range t.Addrs {
		s, end, err := dial(t.Adapter, addr, t.Variant)
		if err != nil {
			return err
		}
		nodes, ends = append(nodes, s), append(ends, end)
	}
	p, err := redlatch.New(options(t), nodes...)
	if err != nil {
		return err
	}
	things, err := resources(p)
	if err != nil {
		return err
	}

	var wg sync.WaitGroup
	for i := range t.Callers {
		c := &caller{w, things, rand.New(rand.NewPCG(t.Seed, uint64(i)))}
		wg.Go(c.run)
	}
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		w.watch(done)
	}()
	wg.Wait()
	close(done)
	<-watched

	err = p.Close()
	if err != nil {
		w.wrongf("Provider.Close without a lease: %v", err)
	}
	for _, end := range ends {
		end()
	}
	if left := goroutinesLeft(); left != "" {
		w.wrongf("goroutines are left after Provider.Close:\n%s", left)
	}
	w.send(report{Kind: bye})
	return nil
}

// options are short, so that faults matter.
func options(t task) *core.Options {
	return &core.Options{
		Expiry: t.Expiry, MinValidity: t.Expiry * 2 / 3, ExtensionCadence: t.Expiry / 4, RestartGuard: t.Guard,
		MinBusyWait: 5 * time.Millisecond, MaxBusyWait: 300 * time.Millisecond,
	}
}

// listen takes orders until there are none any more: then the run is gone.
func (w *worker) listen(cancel context.CancelFunc) {
	in := json.NewDecoder(os.Stdin)
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			os.Exit(3)
		}
		switch o.Kind {
		case calm:
			w.calm.Store(true)
		case stop:
			cancel()
		case answer:
			w.mu.Lock()
			c := w.waiting[o.ID]
			delete(w.waiting, o.ID)
			w.mu.Unlock()
			if c != nil {
				c <- o
			}
		}
	}
}

func (w *worker) send(r report) {
	if w.out.send(r) != nil {
		os.Exit(3)
	}
}

func (w *worker) wrongf(format string, args ...any) {
	w.send(report{Kind: wrong, At: w.clock.now(), Text: fmt.Sprintf(format, args...)})
}

// ask sends a request to the register and waits for its answer.
func (w *worker) ask(r report) order {
	r.ID = w.lastID.Add(1)
	c := make(chan order, 1)
	w.mu.Lock()
	w.waiting[r.ID] = c
	w.mu.Unlock()
	w.send(r)
	return <-c
}

// watch tells the deadlines of the leases that are held, as they move.
func (w *worker) watch(done <-chan struct{}) {
	told := map[int64]int64{}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-done:
			return
		}
		w.mu.Lock()
		held := make(map[int64]*core.Lease, len(w.holds))
		for id, lease := range w.holds {
			held[id] = lease
		}
		w.mu.Unlock()
		for id := range told {
			if held[id] == nil {
				delete(told, id)
			}
		}
		for id, lease := range held {
			until := w.clock.of(lease.ValidUntil())
			if before, ok := told[id]; ok && until > before {
				w.send(report{Kind: extended, ID: id, Until: until})
			}
			told[id] = until
		}
	}
}

// goroutinesLeft returns the stacks of the goroutines of the library, once there have
// been some for 15 s.
func goroutinesLeft() string {
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		var left []string
		for stack := range strings.SplitSeq(string(buf), "\n\n") {
			if strings.Contains(stack, "redlatch/internal/") || strings.Contains(stack, "redlatch/adapters/") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return strings.Join(left, "\n\n")
		}
	}
}
