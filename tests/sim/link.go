package sim

import (
	"context"
	"hash/fnv"
	"strconv"
	"sync"
	"time"
)

// stagger is the time within which what was held up together goes on, each thing at an
// instant of its own: those of one instant follow each other as chance has it.
const stagger = time.Millisecond

// A Link joins a client and a node. It is the core.Scripter and core.Subscriber
// that the client hands to the library.
type Link struct {
	client  *Client
	node    *Node
	cluster *Cluster
	dice    Dice

	// One-way delay in calm weather: uniform in [near, far).
	near, far time.Duration

	mu      sync.Mutex
	cut     bool
	stale   int            // connections of the client's pool that are dead
	noticed bool           // one of them has been
	instant time.Time      // the instant that same counts for
	same    map[uint64]int // equal calls made at that instant
}

// Cut stops everything on the link, silently, or mends it.
func (l *Link) Cut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cut && !l.cut {
		l.cluster.stats.Count(LinkCut)
	}
	l.cut = cut
}

// Stale makes the next calls fail at once, so many of them: the server has closed the
// connections of the client's pool, and the client does not know yet.
func (l *Link) Stale(calls int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale, l.noticed = calls, false
}

// staled tells whether the pool has dead connections.
func (l *Link) staled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stale > 0
}

// takeStale tells whether a call gets a connection that is dead.
func (l *Link) takeStale() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stale == 0 {
		return false
	}
	l.stale--
	if !l.noticed {
		l.noticed = true
		l.cluster.stats.Count(StaleConn)
	}
	return true
}

// dead tells whether what is on the wire now is lost.
func (l *Link) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

// EvalSha implements core.Scripter.
func (l *Link) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	return l.call(ctx, "EVALSHA", sha1, keys, args)
}

// Eval implements core.Scripter.
func (l *Link) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return l.call(ctx, "EVAL", source, keys, args)
}

// circumstance is the dice of a call made now; equal calls that are made at one instant for
// one caller are numbered.
func (l *Link) circumstance(ctx context.Context, cmd, script string, keys, args []string) (d Dice, label string) {
	h := fnv.New64a()
	h.Write([]byte(script))
	label = cmd + " " + strconv.FormatUint(h.Sum64(), 36) + " " + nameless(keys[0])
	what := l.cluster.aliases.digest(Dice(0).Named(label).Of(uint64(l.client.Index), uint64(caller(ctx, keys[0]))), args)

	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Equal(l.instant) {
		l.instant = now
		clear(l.same)
	}
	l.same[what]++
	return l.dice.Of(uint64(now.UnixNano()), what, uint64(l.same[what])), label
}

// call is one call of the client library: it comes back with the answer, at the
// read timeout, or when the context ends if the client library minds it.
func (l *Link) call(ctx context.Context, cmd, script string, keys, args []string) ([]int64, error) {
	l.cluster.shuffle.yield()
	l.cluster.stats.Calls.Add(1)
	d, label := l.circumstance(ctx, cmd, script, keys, args)
	l.cluster.trace.note("call", l.client.Index, l.node.Index, label, d)
	argv := append([]string{cmd, script, strconv.Itoa(len(keys))}, keys...)
	argv = append(argv, args...)

	l.client.awake(d)
	back := make(chan answer, 1)
	timeout := time.NewTimer(l.client.ReadTimeout)
	defer timeout.Stop()
	var done <-chan struct{}
	if l.client.HonoursCtx {
		done = ctx.Done()
	}
	if !l.client.Killed() {
		go l.carry(d, label, argv, back)
	}
	var a answer
	l.cluster.shuffle.yield()
	select {
	case a = <-back:
	case <-timeout.C:
		a.err = errTimeout
	case <-done:
		a.err = ctx.Err()
	}
	if a.err != nil { // the calls of one instant end at one instant
		time.Sleep(d.Named("noticed").Between(0, stagger))
	}
	l.client.awake(d.Named("reply"))
	if l.client.Killed() && a.err == nil {
		<-timeout.C
		a = answer{err: errTimeout}
	}
	l.cluster.shuffle.yield()
	l.cluster.trace.note("back", l.client.Index, l.node.Index, label, d, a.err)
	return a.reply, a.err
}

// carry takes a call to the node and its answer back, if they get there. What
// has been sent is executed whether or not the caller still waits.
func (l *Link) carry(d Dice, label string, argv []string, back chan<- answer) {
	var (
		stats   = l.cluster.stats
		faults  = l.cluster.faults.Load()
		out, in = d.Named("out").Between(l.near, l.far), d.Named("in").Between(l.near, l.far)
		fault   = Fault(-1)
	)
	if f, ok := faults.pick(d.Named("fault")); ok {
		fault = f
	}
	if l.dead() {
		return
	}
	epoch, up := l.node.epochNow()
	if !up {
		time.Sleep(out + in)
		back <- answer{err: errRefused}
		return
	}

	if l.staled() { // which of the calls of one instant meet a dead one must follow from the seed
		time.Sleep(d.Named("connection").Between(0, stagger))
	}
	if l.takeStale() {
		back <- answer{err: errEOF}
		return
	}

	switch fault {
	case RequestLost:
		stats.Count(fault)
		return
	case ResetBefore:
		stats.Count(fault)
		time.Sleep(out)
		back <- answer{err: errReset}
		return
	case ErrorReply:
		stats.Count(fault)
		time.Sleep(out + in)
		back <- answer{err: replyError(passing[d.Named("reply").N(len(passing))])}
		return
	case Delayed:
		stats.Count(fault)
		extra := d.Named("extra").Between(l.far, faults.MaxDelay)
		if d.Named("way").Chance(0.5) {
			out += extra
		} else {
			in += extra
		}
	case LateOriginal:
		stats.Count(fault)
		late := d.Named("late").Between(l.far, faults.MaxDelay)
		go func() {
			time.Sleep(late)
			l.execute(d.Named("original"), label, epoch, argv)
		}()
		out += d.Named("backoff").Between(time.Millisecond, min(late, 600*time.Millisecond))
	}

	time.Sleep(out)
	if l.dead() {
		return
	}
	a := l.execute(d, label, epoch, argv)
	if a.err == nil {
		switch fault {
		case ReplyLost:
			stats.Count(fault)
			return
		case ResetAfter:
			stats.Count(fault)
			a = answer{err: errReset, epoch: a.epoch}
		case Resent:
			stats.Count(fault)
			time.Sleep(d.Named("backoff").Between(l.near, 600*time.Millisecond))
			if epoch, up = l.node.epochNow(); !up {
				a = answer{err: errRefused}
				break
			}
			a = l.execute(d.Named("again"), label, epoch, argv)
		}
	}
	time.Sleep(in)
	if l.dead() || l.client.Killed() {
		return
	}
	if now, up := l.node.epochNow(); a.err == nil && (!up || now != a.epoch) {
		a = answer{err: errReset}
	}
	back <- a
}

// execute runs the call on the node and enters it in the trace.
func (l *Link) execute(d Dice, label string, epoch int, argv []string) answer {
	a := l.node.do(d, epoch, argv)
	what := "error"
	if a.err == nil {
		what = label
	}
	l.cluster.trace.add(time.Now(), what, append([]int64{int64(l.client.Index), int64(l.node.Index)}, a.reply...)...)
	return a
}
