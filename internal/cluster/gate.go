package cluster

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// maxUnderWay is how many attempts of a set, and how many other calls to one node, are
// under way at a time. It is above what clients have connections for, tens to hundreds,
// and above what one that pipelines needs to keep a server busy over a way of
// milliseconds; more would only wait inside the client, where a queue of this process
// looks like a server that does not answer.
const maxUnderWay = 512

// A Blackout is what an attempt met to which no node answered that it needed.
type Blackout struct {
	Err      error // the nodes' failures
	Answered bool  // a majority has answered, for all that
}

// gate lets in maxUnderWay attempts at a time, in the order in which they came. Nothing of
// an attempt has begun before it is in: what waits here is neither the server's silence nor
// time that is taken from the lease.
type gate struct {
	mu      sync.Mutex
	inside  int
	waiting list.List // of *turn
}

// turn is the place of one that waits at the gate.
type turn struct {
	since time.Time
	comes chan *Blackout // of capacity 1: nil lets it in
}

// Enter returns true when the caller is in; [gate.Leave] must follow. It returns false if ctx or
// done ends first, and how many were before the caller when it came; or if the caller is
// told what it would meet. Whoever is called has stood in line on the nodes, and others wait
// for it there: it goes first.
func (g *gate) Enter(ctx context.Context, done <-chan struct{}, called bool) (before int, told *Blackout, in bool) {
	g.mu.Lock()
	if g.inside < maxUnderWay {
		g.inside++
		g.mu.Unlock()
		return 0, nil, true
	}
	turn := &turn{time.Now(), make(chan *Blackout, 1)}
	var place *list.Element
	before = g.inside
	if called {
		place = g.waiting.PushFront(turn)
	} else {
		before += g.waiting.Len()
		place = g.waiting.PushBack(turn)
	}
	g.mu.Unlock()
	select {
	case told = <-turn.comes:
		return before, told, told == nil
	case <-ctx.Done():
	case <-done:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case told = <-turn.comes: // at the same time
		if told == nil {
			g.pass()
		}
	default:
		g.waiting.Remove(place)
	}
	return before, nil, false
}

// Tell ends the waiting of those who have waited since an attempt began to which no node
// that it needed has answered, nor to any other: they would have met the same. So nodes
// that hang fail a crowd together, and not so many at a time.
func (g *gate) Tell(began time.Time, met Blackout) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for e := g.waiting.Front(); e != nil; {
		t, next := e.Value.(*turn), e.Next()
		if !t.since.After(began) {
			g.waiting.Remove(e)
			t.comes <- &met
		}
		e = next
	}
}

// Leave lets the next one in.
func (g *gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
}

func (g *gate) pass() {
	first := g.waiting.Front()
	if first == nil {
		g.inside--
		return
	}
	g.waiting.Remove(first).(*turn).comes <- nil
}
