package bench

import (
	"fmt"
	"strings"
	"time"
)

// Markdown returns the page: what was aimed at and reached, the tables, and how it was
// measured.
func (r *Results) Markdown() string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n")
	fmt.Fprintf(&b, "Written by `make bench-peers` on %s: %s, %s on loopback.\n", r.Date.Format(time.DateOnly), r.Machine, r.Server)
	b.WriteString(`Everything was measured in one run, the contenders in turns. Compare within this page
only: ratios hold elsewhere, absolute numbers are this machine's.

## Aims

`)
	table(&b, []string{"aim", "wanted", "measured", ""}, r.aims())
	fmt.Fprintf(&b, `
Idle times: between two holders are four hops from process to process, the release to Redis, its message to the
next waiter, that one's question, and the answer. rueidislock has the same four. There all waiters are told, and whoever
comes first has the lock; here only the next in line is, who must first be woken, and each question is a script.
Libraries that poll have no message, but sleep.

Upkeep: redlatch asks every two seconds whether a client's subscription is alive. A rueidis client with its defaults
besides sends PING on each connection, the subscribed one and the other, on which nothing has come for a second, which is
up to two commands a second more; here it has Dialer.KeepAlive = %v.

![Commands for a hand-over and idle time of the lock, by number of clients](benchmarks.svg)

## Lock and unlock, nobody else

One node, one goroutine. The bare clients send SET NX PX and a script that deletes the key
if it is the caller's, with a fixed owner; they do nothing else. Times in us, allocations in the
client's process, "server" the processor time of Redis.

`, rueidisPing)
	table(&b, []string{"", "p50", "p99", "allocations", "commands", "server", "pairs/s, 64 goroutines"}, r.withThroughput(freeRows(r.Uncontended)))
	b.WriteString(`
A call of redlatch runs in a goroutine of its own, so that its caller can leave a server that hangs, whatever the
client does. "A goroutine a call" does the same with the bare commands and shows what that alone costs; "without a
queue" is redlatch's mutex for which nobody can wait.

The same with GOMAXPROCS=1, so that the client leaves the other processor to Redis. With two processors Go wakes
the second one for each goroutine, on this machine the one that Redis needs.

`)
	table(&b, []string{"", "p50", "p99", "allocations", "commands", "server"}, freeRows(r.Single))
	b.WriteString("\nFive nodes, one goroutine; commands and processor time of all nodes together.\n\n")
	table(&b, []string{"", "p50", "p99", "allocations", "commands", "server"}, freeRows(r.Majority))
	fmt.Fprintf(&b, `
## One of five nodes hangs

p50 in us, all nodes healthy -> one stopped, which accepts connections and never answers. A step that
was not over after %v was ended by letting the node go on; contenders that take more than a second were timed once.

`, Patience)
	table(&b, []string{"", "lock", "extension", "release"}, r.hungRows())
	fmt.Fprintf(&b, `
## Hand-over under contention

One name, one node. Each client has connections of its own, holds the lock for %v, and comes
back after %v. "Idle" is the time from one holder's leaving to the next one's entering while somebody waits.
Commands are those that clients send for a hand-over. "Server" is Redis's processor time for one. "Grants" are the
least, median and most of a client.

`, ShortHold, Pause)
	table(&b, []string{"clients", "", "hand-overs/s", "idle p50, us", "p99", "commands", "server, us", "grants"}, handOverRows(r.HandOvers))
	fmt.Fprintf(&b, "\nThe same with holds of %v. \"Upkeep\" are the commands a second by which each client finds out whether its connections are alive, \"together\" those for a hand-over with the upkeep of all clients meanwhile.\n\n", LongHold)
	table(&b, []string{"clients", "", "commands", "wanted at most", "upkeep", "together", "idle p50, us"}, r.longRows())
	fmt.Fprintf(&b, "\nTwo clients, and 1,000 goroutines on one client, who come back at once; holds of %v.\n\n", ShortHold)
	table(&b, []string{"", "", "hand-overs/s", "commands/s", "commands for a hand-over", "grants"}, r.crowdRows())
	b.WriteString("\n## Held leases\n\n")
	b.WriteString("Leases held by one process on one node and left alone, each library with its default expiry. Processor time in processors.\n\n")
	table(&b, []string{"", "leases", "commands/s", "client", "server", "bytes a lease", "goroutines, quiet", "while extending", "lost"}, r.heldRows())
	fmt.Fprintf(&b, `
## How

- Servers are child processes without persistence. Clients have their defaults, but for a redigo pool that keeps
  its connections and rueidis's pings of silent connections, every %v. Libraries have their defaults, but for redislock, which must be told to wait (10 ms) and for how long to hold
  (30 s), and rueidislock, which is given one key a lock and NoLoopTracking, the cheaper
  way, and %v for an attempt, without which it now and then waits for ever on a busy machine. redsync's Lock is
  called again when its 32 tries are over.
- "Lock and unlock" takes one pair of each contender in turn, in rotating order, each with names and connections of its
  own; p50 and p99 are of all of these. Allocations and processor time are taken in ten stretches each, also in turns.
- Commands are counted at the clients: a connection's writes are parsed for requests. The server's statistics would
  count what scripts call inside too. PING, SUBSCRIBE and the handshake are counted apart, as upkeep.
- Processor time of Redis is used_cpu_user + used_cpu_sys of INFO.
- While the lock is held, a witness in the measuring process checks that nobody else holds it. The run fails on the first overlap.
- redlatch extends in the background: its extension is timed from a round's first request to the answer that completes the majority,
  and counts only if the deadline has moved. redsync's is its Extend.
`, rueidisPing, tryNext)
	return b.String()
}

func table(b *strings.Builder, head []string, rows [][]string) {
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

func freeRows(us []Uncontended) (rows [][]string) {
	for _, u := range us {
		rows = append(rows, []string{
			u.Contender.String(), micros(u.P50), micros(u.P99), fmt.Sprintf("%.0f", u.Allocs),
			fmt.Sprintf("%.1f", u.Commands), fmt.Sprintf("%.1f", float64(u.CPU)/1e3),
		})
	}
	return rows
}

// withThroughput adds a column to the rows of contenders.
func (r *Results) withThroughput(rows [][]string) [][]string {
	for i, row := range rows {
		for _, t := range r.Throughput {
			if t.Contender.String() == row[0] {
				rows[i] = append(row, fmt.Sprintf("%.0f", t.PerSecond))
			}
		}
	}
	return rows
}

func (r *Results) hungRows() (rows [][]string) {
	for _, h := range r.Hung {
		step := func(all, one time.Duration) string {
			text := fmt.Sprintf("%s -> %s, %.2f", micros(all), micros(one), ratio(one, all))
			if one > Patience-100*time.Millisecond {
				text = fmt.Sprintf("%s -> not over after %v", micros(all), Patience)
			}
			return text
		}
		rows = append(rows, []string{
			h.Contender.String(), step(h.All.Lock, h.One.Lock), step(h.All.Extend, h.One.Extend), step(h.All.Release, h.One.Release),
		})
	}
	return rows
}

func handOverRows(hs []HandOver) (rows [][]string) {
	for _, h := range hs {
		rows = append(rows, []string{
			fmt.Sprint(h.Contest.Clients), h.Contender.String(), fmt.Sprintf("%.0f", h.PerSecond), micros(h.IdleP50), micros(h.IdleP99),
			fmt.Sprintf("%.1f", h.Commands), micros(h.CPU), fmt.Sprintf("%d/%d/%d", h.Least, h.Median, h.Most),
		})
	}
	return rows
}

func (r *Results) longRows() (rows [][]string) {
	for _, h := range r.Long {
		rows = append(rows, []string{
			fmt.Sprint(h.Contest.Clients), h.Contender.String(), fmt.Sprintf("%.1f", h.Commands), fmt.Sprintf("%.1f", longBound(h)),
			fmt.Sprintf("%.1f", h.Upkeep), fmt.Sprintf("%.1f", h.together()), micros(h.IdleP50),
		})
	}
	return rows
}

func (r *Results) crowdRows() (rows [][]string) {
	for _, h := range r.Crowd {
		who := "2 clients"
		if h.Contest.Each > 1 {
			who = fmt.Sprintf("1 client, %d goroutines", h.Contest.Each)
		}
		rows = append(rows, []string{
			h.Contender.String(), who, fmt.Sprintf("%.0f", h.PerSecond), fmt.Sprintf("%.0f", h.Commands*h.PerSecond),
			fmt.Sprintf("%.2f", h.Commands), fmt.Sprintf("%d/%d/%d", h.Least, h.Median, h.Most),
		})
	}
	return rows
}

func (r *Results) heldRows() (rows [][]string) {
	for _, h := range r.Held {
		rows = append(rows, []string{
			h.Contender.String(), fmt.Sprint(h.Leases), fmt.Sprintf("%.0f", h.Commands), fmt.Sprintf("%.3f", h.ClientCPU), fmt.Sprintf("%.3f", h.ServerCPU),
			fmt.Sprintf("%.0f", h.Bytes), fmt.Sprint(h.Goroutines), fmt.Sprint(h.Peak), fmt.Sprint(h.Lost),
		})
	}
	return rows
}
