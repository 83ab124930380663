// Package proxy is a TCP proxy that makes network faults between a Redis client
// and a server, for tests. It runs in the test's process and listens on loopback.
//
// It knows nothing of the protocol. What it calls a request is one piece of bytes
// read from a client, a reply one piece read from the server: with calls that
// fit into a piece (64 KiB) and are made one at a time on a connection, these are
// the client's calls. A mark tells the calls of a test from what else a client
// sends on its own, such as handshakes and pings.
//
// A test that claims a fault asserts with [Proxy.Stats] that it happened, and
// waits with [Proxy.Await] rather than by sleeping.
package proxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// A Direction of the traffic through a proxy.
type Direction int

// The directions; Both is the two together.
const (
	Requests Direction = 1 << iota // from clients to the server
	Replies                        // from the server to clients
	Both     = Requests | Replies
)

// Stats counts what a proxy has seen and done since it started.
type Stats struct {
	Accepted     int   // connections forwarded to the server
	Refused      int   // connections reset because of Refuse, or since the server could not be reached
	Open         int   // connections forwarded now
	Cut          int   // connections ended by Cut, DropReply or EndAt
	Requests     int   // pieces read from clients
	Replies      int   // pieces read from the server
	Marked       int   // requests that hold the mark; all of them when the mark is empty
	Dropped      int   // replies swallowed because of DropReply
	Duplicated   int   // requests delivered twice whose first delivery the server did not answer with an error
	RequestBytes int64 // bytes read from clients
	ReplyBytes   int64 // bytes read from the server
}

// A Proxy forwards connections on a loopback port of its own to one server. Its
// methods may be called at any time and concurrently; each acts on existing and
// on new connections alike, where it does not say otherwise.
type Proxy struct {
	dial     func() (net.Conn, error) // to the server
	listener net.Listener
	wg       sync.WaitGroup

	mu        sync.Mutex
	links     map[*link]struct{}
	stats     Stats
	changed   chan struct{} // closed and replaced whenever stats change
	mark      []byte
	delay     time.Duration
	closed    bool
	refuse    bool
	drop      bool
	duplicate bool
	ends      bool
	target    string
	stalled   map[Direction]chan struct{} // closed on Resume
}

// Start returns a running proxy to the server at target, host:port. Close ends it.
func Start(target string) (*Proxy, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{
		listener: l,
		target:   target,
		links:    make(map[*link]struct{}),
		changed:  make(chan struct{}),
		stalled:  make(map[Direction]chan struct{}),
	}
	p.dial = p.dialTarget
	p.wg.Go(p.accept)
	return p, nil
}

func (p *Proxy) dialTarget() (net.Conn, error) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	return net.DialTimeout("tcp", target, dialTimeout)
}

// Addr is where the proxy listens, 127.0.0.1:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Mark says which requests DropReply and Duplicate are about, and which
// Stats.Marked counts: those that hold mark, such as the prefix of a test's keys.
// Default: empty, every request.
func (p *Proxy) Mark(mark string) {
	p.set(func() { p.mark = []byte(mark) })
}

// Cut ends every connection, with what is stalled or delayed on it, and reports
// how many there were. New connections are forwarded as before.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	links := p.links
	p.links = make(map[*link]struct{})
	p.mu.Unlock()
	for l := range links {
		l.cut()
	}
	return len(links)
}

// Refuse resets new connections as soon as they come, until Accept. The port stays
// the proxy's own. Existing connections go on.
func (p *Proxy) Refuse() { p.set(func() { p.refuse = true }) }

// Accept ends Refuse.
func (p *Proxy) Accept() { p.set(func() { p.refuse = false }) }

// Redirect forwards new connections to the server at target. Existing ones stay with
// theirs, as they do behind an address that moves to another machine.
func (p *Proxy) Redirect(target string) { p.set(func() { p.target = target }) }

// EndAt, while on, ends a connection at its next marked request, which does not reach the
// server.
func (p *Proxy) EndAt(on bool) { p.set(func() { p.ends = on }) }

// Stall holds back what comes in direction d, without loss, until Resume. The
// proxy goes on reading and counting, so that a stalled request is seen in Stats.
func (p *Proxy) Stall(d Direction) {
	p.set(func() {
		for _, one := range []Direction{Requests, Replies} {
			if d&one != 0 && p.stalled[one] == nil {
				p.stalled[one] = make(chan struct{})
			}
		}
	})
}

// Mend ends every fault that lasts.
func (p *Proxy) Mend() {
	p.Resume()
	p.set(func() { p.refuse, p.drop, p.duplicate, p.ends, p.delay = false, false, false, false, 0 })
}

// Resume ends Stall, in both directions, and forwards what was held back.
func (p *Proxy) Resume() {
	p.set(func() {
		for one, gate := range p.stalled {
			close(gate)
			delete(p.stalled, one)
		}
	})
}

// Delay adds d to the time that each reply takes from now on. Replies on one
// connection are delayed side by side: it is latency, not a limit of bandwidth.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// DropReply forwards the next marked request, swallows what the server sends
// next on that connection, and cuts the connection. It acts once.
func (p *Proxy) DropReply() { p.set(func() { p.drop = true }) }

// Duplicate, while on, delivers each marked request twice, as a client does that
// sends again what broke: first on a connection of its own, whose reply is thrown
// away, and when that has come, on the client's.
func (p *Proxy) Duplicate(on bool) { p.set(func() { p.duplicate = on }) }

// Stats returns the counters.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Open = len(p.links)
	return s
}

// Await returns nil as soon as the counters satisfy ok, or ctx's error.
func (p *Proxy) Await(ctx context.Context, ok func(Stats) bool) error {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if ok(p.Stats()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("proxy: %w with %+v", ctx.Err(), p.Stats())
		}
	}
}

// Close ends the listener and every connection and returns when no goroutine of
// the proxy is left. Closing twice does nothing.
func (p *Proxy) Close() {
	p.set(func() { p.closed = true })
	p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

// set changes settings or counters and tells those in Await.
func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}
