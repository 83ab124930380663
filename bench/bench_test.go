package bench

import (
	"strings"
	"testing"
	"time"
)

// BenchmarkPair locks and unlocks a free name on one node, one contender after the
// other, for the allocations.
func BenchmarkPair(b *testing.B) {
	s := open(b, 1)
	for _, c := range Contenders() {
		b.Run(label(c), func(b *testing.B) {
			client, own := ready(b, s, 1, c)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := client.Hold(b.Context(), own[i%len(own)], nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInTurns locks and unlocks a free name with each contender in turn, so that all
// meet the same machine, and reports the p50 of each library to the bare client's.
func BenchmarkInTurns(b *testing.B) {
	s := open(b, 1)
	inTurns(b, s, 1, Contenders(), func(c Contender) Contender { return Contender{Library: Bare, Driver: c.Driver} })
}

// BenchmarkFiveNodesInTurns is the same on five nodes, to redsync's p50 on go-redis.
func BenchmarkFiveNodesInTurns(b *testing.B) {
	s := open(b, nodes)
	cs := Select(Contenders(), func(c Contender) bool { return c.Nodes })
	inTurns(b, s, nodes, cs, func(Contender) Contender { return Contender{Library: "redsync", Driver: GoRedis} })
}

func inTurns(b *testing.B, s *Servers, n int, cs []Contender, base func(Contender) Contender) {
	clients, own := make([]Client, len(cs)), make([][]string, len(cs))
	for i, c := range cs {
		clients[i], own[i] = ready(b, s, n, c)
	}
	times := make([][]time.Duration, len(cs))
	for round := 0; b.Loop(); round++ {
		for turn := range cs {
			i := (round + turn) % len(cs)
			began := time.Now()
			if err := clients[i].Hold(b.Context(), own[i][round%len(own[i])], nil); err != nil {
				b.Fatal(err)
			}
			times[i] = append(times[i], time.Since(began))
		}
	}
	p50 := map[string]time.Duration{}
	for i, c := range cs {
		p50[c.String()] = Quantile(times[i], 0.5)
	}
	for _, c := range cs {
		if to := base(c); c.Library != to.Library {
			b.ReportMetric(ratio(p50[c.String()], p50[to.String()]), label(c)+"/"+strings.ReplaceAll(to.Library, " ", "-"))
		}
	}
}

// ready dials and makes the connections.
func ready(b *testing.B, s *Servers, n int, c Contender) (Client, []string) {
	b.Helper()
	client, err := c.Dial(s.Addrs(n), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := client.Close(); err != nil {
			b.Error(err)
		}
	})
	own := names(c.String())
	if err := pairs(b.Context(), client, own, 2*len(own)); err != nil {
		b.Fatal(err)
	}
	return client, own
}

// label is the contender's name without spaces, which units must not have.
func label(c Contender) string { return strings.ReplaceAll(c.String(), " ", "-") }
