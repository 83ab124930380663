package bench

import "context"

// A Contender is something that locks: a library on one client, or a bare client.
type Contender struct {
	Library string // "redlatch", "bare", ...
	Driver  string // the client underneath: "go-redis", "redigo", "rueidis"

	// Nodes says that it works on several independent nodes.
	Nodes bool

	// Waits says that Hold waits for a lock that is held. The bare clients do not.
	Waits bool

	// Dial makes a client with connections of its own to the servers at addrs, of which
	// contenders without Nodes take the first. count, which may be nil, counts the
	// commands that the client sends from then on.
	Dial func(addrs []string, count *Counter) (Client, error)
}

// String returns the contender's name in tables.
func (c Contender) String() string { return c.Library + " on " + c.Driver }

// A Client is what one process has of a contender.
type Client interface {
	// Hold locks name, calls fn, which may be nil, and unlocks.
	Hold(ctx context.Context, name string, fn func()) error

	// Close ends the client's connections.
	Close() error
}

// The clients' names.
const (
	GoRedis = "go-redis"
	Redigo  = "redigo"
	Rueidis = "rueidis"
)

// Redlatch is the name of this project's library, Bare and Apart those of clients without
// one.
const (
	Redlatch = "redlatch"
	Bare     = "bare client"
	Apart    = "bare client, a goroutine a call"
)

// Contenders returns all of them, the bare clients first.
func Contenders() []Contender {
	return []Contender{
		{Bare, GoRedis, false, false, dialBareGoRedis},
		{Bare, Redigo, false, false, dialBareRedigo},
		{Bare, Rueidis, false, false, dialBareRueidis},
		{Apart, GoRedis, false, false, dialApart},
		{Redlatch, GoRedis, true, true, dialRedlatch(goRedisNode)},
		{Redlatch, Redigo, true, true, dialRedlatch(redigoNode)},
		{Redlatch, Rueidis, true, true, dialRedlatch(rueidisNode)},
		{NoQueue, GoRedis, false, false, dialNoQueue},
		{"redsync", GoRedis, true, true, dialRedsync(goRedisPool)},
		{"redsync", Redigo, true, true, dialRedsync(redigoPool)},
		{"redislock", GoRedis, false, true, dialRedislock},
		{"rueidislock", Rueidis, false, true, dialRueidislock},
	}
}

// Select returns those of the contenders for which keep is true.
func Select(cs []Contender, keep func(Contender) bool) []Contender {
	var kept []Contender
	for _, c := range cs {
		if keep(c) {
			kept = append(kept, c)
		}
	}
	return kept
}
