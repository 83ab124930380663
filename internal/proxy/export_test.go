package proxy

import "net"

// Dialling lets f be called before each connection to the server is made.
func (p *Proxy) Dialling(f func()) {
	dial := p.dial
	p.dial = func() (net.Conn, error) { f(); return dial() }
}
