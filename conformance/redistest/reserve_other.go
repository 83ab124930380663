//go:build !linux

package redistest

import "net"

// reserve returns a loopback port that is free now. Another program may take it
// before the server does; the caller then tries again with another one.
func reserve() (port int, release func(), err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, func() {}, nil
}
