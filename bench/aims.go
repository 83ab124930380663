package bench

import (
	"fmt"
	"time"
)

// aims sets what was measured against what the project wants.
func (r *Results) aims() [][]string {
	var rows [][]string
	aim := func(what, wanted, measured string, reached bool) {
		word := "reached"
		if !reached {
			word = "**missed**"
		}
		rows = append(rows, []string{what, wanted, measured, word})
	}
	drivers := []string{GoRedis, Redigo, Rueidis}

	for _, d := range drivers {
		x := ratio(find(r.Uncontended, Redlatch, d).P50, find(r.Uncontended, Bare, d).P50)
		aim("lock + unlock p50, to the bare "+d, "1.15, at most 1.25", fmt.Sprintf("%.2f", x), x <= 1.25)
	}
	for _, d := range drivers {
		x := ratio(find(r.Single, Redlatch, d).P50, find(r.Single, Bare, d).P50)
		aim("the same, the client on one processor, "+d, "1.15, at most 1.25", fmt.Sprintf("%.2f", x), x <= 1.25)
	}
	own, bare := find(r.Uncontended, Redlatch, GoRedis), find(r.Uncontended, Bare, GoRedis)
	x := ratio(own.P50, find(r.Uncontended, NoQueue, GoRedis).P50)
	aim("lock + unlock p50, to that without a queue, go-redis", "no slower", fmt.Sprintf("%.2f", x), x <= 1.05)
	aim("allocations more than the bare go-redis", "at most 20", fmt.Sprintf("%.0f", own.Allocs-bare.Allocs), own.Allocs-bare.Allocs < 20.5)
	for _, d := range drivers {
		x := ratio(find(r.Uncontended, Redlatch, d).CPU, find(r.Uncontended, Bare, d).CPU)
		aim("Redis's processor time for a pair, to the bare "+d, "at most 2.5", fmt.Sprintf("%.2f", x), x <= 2.5)
	}
	for _, d := range []string{GoRedis, Redigo} {
		x := ratio(find(r.Majority, Redlatch, d).P50, find(r.Majority, "redsync", d).P50)
		aim("five nodes, lock + unlock p50, to redsync on "+d, "at most 0.7", fmt.Sprintf("%.2f", x), x <= 0.7)
	}
	for _, h := range r.Hung {
		if ours(h.Contender) {
			x := ratio(h.One.Lock+h.One.Extend+h.One.Release, h.All.Lock+h.All.Extend+h.All.Release)
			aim("one of five nodes hung, lock + extension + release, "+h.Contender.Driver, "no longer than without", fmt.Sprintf("%.2f", x), x <= 1.1)
		}
	}
	for _, d := range drivers {
		few, some, many := r.at(8, Redlatch, d), r.at(50, Redlatch, d), r.at(200, Redlatch, d)
		aim("commands for a hand-over at 8, 50, 200 clients, "+d, "at most 6, alike within 1.5",
			fmt.Sprintf("%.1f, %.1f, %.1f", few.Commands, some.Commands, many.Commands),
			max(few.Commands, some.Commands, many.Commands) <= 6 && max(few.Commands, some.Commands, many.Commands) <= 1.5*min(few.Commands, some.Commands, many.Commands))
	}
	for _, h := range r.Long {
		aim(fmt.Sprintf("commands for a hand-over without upkeep, holds of %v, %d clients, %s", LongHold, h.Contest.Clients, h.Contender.Driver),
			fmt.Sprintf("at most %.1f", longBound(h)), fmt.Sprintf("%.1f", h.Commands), h.Commands <= longBound(h))
	}
	for _, d := range drivers {
		most := 0.0
		for _, h := range r.Long {
			if h.Contender.Driver == d {
				most = max(most, h.Upkeep)
			}
		}
		aim("upkeep of a waiting client, commands/s, "+d, fmt.Sprintf("at most %.1f", upkeepBound), fmt.Sprintf("%.1f", most), most <= upkeepBound)
	}
	for _, d := range drivers {
		x := ratio(r.at(2, Redlatch, d).IdleP50, r.at(2, "rueidislock", Rueidis).IdleP50)
		aim("idle time p50 at 2 clients, to rueidislock's, "+d, "at most 1", fmt.Sprintf("%.2f", x), x <= 1)
	}
	for _, d := range drivers {
		x := ratio(r.at(50, Redlatch, d).IdleP50, r.at(50, "rueidislock", Rueidis).IdleP50)
		aim("idle time p50 at 50 clients, to rueidislock's, "+d, "at most 0.5", fmt.Sprintf("%.2f", x), x <= 0.5)
	}
	for _, d := range drivers {
		x := ratio(r.at(2, "redsync", GoRedis).IdleP50, r.at(2, Redlatch, d).IdleP50)
		aim("idle time p50 at 2 clients, times better than redsync's, "+d, "at least 20", fmt.Sprintf("%.0f", x), x >= 20)
	}
	for _, d := range drivers {
		h := r.at(50, Redlatch, d)
		x := float64(h.Most) / float64(max(h.Least, 1))
		aim("grants of a client at 50 clients, most to least, "+d, "at most 1.5", fmt.Sprintf("%d/%d", h.Most, h.Least), h.Least > 0 && x <= 1.5)
	}
	for i := 0; i+1 < len(r.Crowd); i += 2 {
		two, one := r.Crowd[i], r.Crowd[i+1]
		x := one.Commands / two.Commands
		aim("commands for a hand-over of 1,000 goroutines of one process, to those of 2 clients, "+one.Contender.Driver, "at most 1", fmt.Sprintf("%.2f", x), x <= 1.05)
	}
	for _, h := range r.Held {
		if ours(h.Contender) {
			want := float64(h.Leases) / 10
			aim(fmt.Sprintf("commands/s of %d held leases, expiry 30 s, %s", h.Leases, h.Contender.Driver), fmt.Sprintf("%.0f", want), fmt.Sprintf("%.0f", h.Commands), h.Commands >= 0.95*want && h.Commands <= 1.05*want)
			aim("goroutines of held leases, "+h.Contender.Driver, "do not grow with them", fmt.Sprint(h.Goroutines), h.Goroutines < h.Leases/100)
		}
	}
	return rows
}

// longBound is what a hand-over may cost where holds are long: waiters ask by
// themselves now and then.
func longBound(h HandOver) float64 {
	return 6 + 0.4*float64(h.Contest.Clients)*h.Contest.Hold.Seconds()
}

// upkeepBound is what a client that waits may send a second to find out whether its
// subscription is alive, whatever it waits for: a command every two seconds, and a few to
// connect. It has a bound of its own, since a client has one subscription for all the
// locks that it waits for, however many.
const upkeepBound = 0.6

// together is what a hand-over costs with the upkeep of all clients meanwhile.
func (h HandOver) together() float64 {
	return h.Commands + h.Upkeep*float64(h.Contest.Clients)/h.PerSecond
}

func find(us []Uncontended, library, driver string) Uncontended {
	for _, u := range us {
		if u.Contender.Library == library && u.Contender.Driver == driver {
			return u
		}
	}
	return Uncontended{}
}

// at returns the contest of so many clients.
func (r *Results) at(clients int, library, driver string) HandOver {
	for _, h := range r.HandOvers {
		if h.Contest.Clients == clients && h.Contender.Library == library && h.Contender.Driver == driver {
			return h
		}
	}
	return HandOver{}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func micros(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/1e3) }
