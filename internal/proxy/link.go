package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pieceSize   = 64 << 10
	dialTimeout = 5 * time.Second
)

// A link is one forwarded connection.
type link struct {
	p              *Proxy
	client, server net.Conn
	done           chan struct{} // closed when the link has ended
	once           sync.Once
	swallow        atomic.Bool // the next reply is to be dropped
}

// A piece is bytes on their way, and when they may go on.
type piece struct {
	data []byte
	due  time.Time
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.forward(client) })
	}
}

func (p *Proxy) forward(client net.Conn) {
	l := p.connect(client)
	if l == nil {
		return
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { l.pump(Requests, client, l.server) })
	pumps.Go(func() { l.pump(Replies, l.server, client) })
	pumps.Wait()
	l.end()
	p.set(func() { delete(p.links, l) })
}

// connect returns the link of a new connection, or resets it and returns nil. Refuse may
// have been called while the server was dialled.
func (p *Proxy) connect(client net.Conn) *link {
	var server net.Conn
	if !p.refuses() {
		server, _ = p.dial()
	}
	l := &link{p: p, client: client, server: server, done: make(chan struct{})}
	p.set(func() {
		switch {
		case server == nil || p.refuse:
			client.(*net.TCPConn).SetLinger(0)
			p.stats.Refused++
		case !p.closed:
			p.stats.Accepted++
			p.links[l] = struct{}{}
			return
		}
		client.Close()
		if server != nil {
			server.Close()
		}
		l = nil
	})
	return l
}

func (p *Proxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refuse
}

func (l *link) end() {
	l.once.Do(func() {
		close(l.done)
		l.client.Close()
		l.server.Close()
	})
}

func (l *link) cut() {
	l.p.set(func() { l.p.stats.Cut++ })
	l.end()
}

// pump forwards one direction until either side ends it. Reading is apart from
// writing, so that a stall or a delay does not hide from the counters what came.
func (l *link) pump(d Direction, src, dst net.Conn) {
	queue := make(chan piece, 1024)
	var writer sync.WaitGroup
	writer.Go(func() { l.write(d, dst, queue) })
	defer writer.Wait()
	defer close(queue)
	var tail []byte // the end of the piece before, since a mark may be split
	for {
		data := make([]byte, pieceSize)
		n, err := src.Read(data)
		if n > 0 {
			next := piece{data: data[:n]}
			if d == Requests {
				var ends bool
				if tail, ends = l.requested(tail, next.data); ends {
					l.cut()
					return
				}
			} else if next.due = l.replied(n); l.swallow.Load() {
				l.p.set(func() { l.p.stats.Dropped++ })
				l.cut()
				return
			}
			select {
			case queue <- next:
			case <-l.done:
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				l.end()
			}
			return
		}
	}
}

// requested accounts for a piece from the client and makes the faults that are
// about requests. It returns what the next piece's mark may begin with, and whether the
// connection ends here.
func (l *link) requested(tail, data []byte) (rest []byte, ends bool) {
	p := l.p
	duplicate := false
	p.set(func() {
		p.stats.Requests++
		p.stats.RequestBytes += int64(len(data))
		seen := append(tail, data...)
		if bytes.Contains(seen, p.mark) {
			p.stats.Marked++
			duplicate, ends = p.duplicate, p.ends
			if p.drop {
				p.drop = false
				l.swallow.Store(true)
			}
			seen = nil
		}
		tail = bytes.Clone(seen[max(0, min(len(seen), len(seen)-len(p.mark)+1)):])
	})
	if duplicate && p.deliver(data) {
		p.set(func() { p.stats.Duplicated++ })
	}
	return tail, ends
}

// replied accounts for a piece from the server and returns when it is due.
func (l *link) replied(n int) time.Time {
	p := l.p
	var due time.Time
	p.set(func() {
		p.stats.Replies++
		p.stats.ReplyBytes += int64(n)
		if p.delay > 0 {
			due = time.Now().Add(p.delay)
		}
	})
	return due
}

// deliver sends data on a connection of its own and reports whether the server
// answered with anything but an error.
func (p *Proxy) deliver(data []byte) bool {
	server, err := p.dial()
	if err != nil {
		return false
	}
	defer server.Close()
	server.SetDeadline(time.Now().Add(dialTimeout))
	if _, err := server.Write(data); err != nil {
		return false
	}
	var first [1]byte
	n, _ := server.Read(first[:])
	return n == 1 && first[0] != '-'
}

// write sends on what pump has read, when it is due and not stalled. A side that
// has ended its half of the connection is passed on as that, after the rest.
func (l *link) write(d Direction, dst net.Conn, queue <-chan piece) {
	for next := range queue {
		if wait := time.Until(next.due); !next.due.IsZero() && wait > 0 {
			select {
			case <-time.After(wait):
			case <-l.done:
				return
			}
		}
		if !l.pass(d) {
			return
		}
		if _, err := dst.Write(next.data); err != nil {
			l.end()
			return
		}
	}
	if l.pass(d) {
		dst.(*net.TCPConn).CloseWrite()
	}
}

// pass returns true when direction d is not stalled, and false when the link has
// ended.
func (l *link) pass(d Direction) bool {
	for {
		l.p.mu.Lock()
		gate := l.p.stalled[d]
		l.p.mu.Unlock()
		select {
		case <-l.done:
			return false
		default:
		}
		if gate == nil {
			return true
		}
		select {
		case <-gate:
		case <-l.done:
			return false
		}
	}
}
