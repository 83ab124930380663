// Package embedded runs Redis servers inside this process, on loopback, so that the
// examples run on any machine. They are miniredis: good for a look, not for data.
package embedded

import "github.com/alicebob/miniredis/v2"

// A Server is one independent Redis.
type Server struct {
	redis *miniredis.Miniredis
	addr  string
}

// Start starts n servers on ports that the system chooses.
func Start(n int) ([]*Server, error) {
	var servers []*Server
	for range n {
		r := miniredis.NewMiniRedis()
		r.ClockTTL(true) // keys expire by the clock, as on a real server
		if err := r.Start(); err != nil {
			Stop(servers)
			return nil, err
		}
		servers = append(servers, &Server{r, r.Addr()})
	}
	return servers, nil
}

// Stop ends servers.
func Stop(servers []*Server) {
	for _, s := range servers {
		s.Kill()
	}
}

// Addr is host:port; it stays the same over a restart.
func (s *Server) Addr() string { return s.addr }

// Kill makes the server drop its connections and refuse new ones.
func (s *Server) Kill() { s.redis.Close() }

// Restart brings a killed server back with its data.
func (s *Server) Restart() error { return s.redis.StartAddr(s.addr) }
