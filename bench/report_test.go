package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// made are results in which everything is reached but for the commands at 200 clients
// on redigo.
func made() *Results {
	r := &Results{Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Machine: "a machine", Server: "a server"}
	for _, c := range Contenders() {
		p50 := 100 * time.Microsecond
		u := Uncontended{Contender: c, P50: p50, P99: 2 * p50, Allocs: 20, Commands: 2, CPU: p50 / 4}
		r.Uncontended, r.Single = append(r.Uncontended, u), append(r.Single, u)
		if c.Nodes {
			if ours(c) {
				u.P50 /= 2
			}
			r.Majority = append(r.Majority, u)
		}
		for _, clients := range []int{2, 8, 50, 200} {
			h := HandOver{Contender: c, Contest: Contest{Clients: clients, Hold: ShortHold}, IdleP50: 40 * p50, Commands: 4, Least: 10, Median: 10, Most: 11}
			if ours(c) {
				h.IdleP50 = p50
			}
			if c.Driver == Redigo && clients == 200 {
				h.Commands = 40
			}
			r.HandOvers = append(r.HandOvers, h)
			if ours(c) {
				h.Commands, h.PerSecond, h.Upkeep = 4, 10, 0.5
				r.Long = append(r.Long, h)
			}
		}
	}
	return r
}

func TestMarkdown(t *testing.T) {
	page := made().Markdown()
	if got := strings.Count(page, "**missed**"); got != 1 {
		t.Errorf("got %d missed aims, want 1", got)
	}
	for _, want := range []string{
		"on 2026-01-02: a machine, a server",
		"| commands for a hand-over at 8, 50, 200 clients, redigo | at most 6, alike within 1.5 | 4.0, 4.0, 40.0 | **missed** |",
		"| upkeep of a waiting client, commands/s, rueidis | at most 0.6 | 0.5 | reached |",
		"| 50 | redlatch on go-redis | 4.0 | 6.0 | 0.5 | 6.5 | 100 |",
		"and 5s for an attempt",
		"| redlatch on rueidis | 100 | 200 | 20 | 2.0 | 25.0 |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

func TestSVG(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(made().SVG()))
	polylines := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			polylines++
		}
	}
	if want := 2 * len(lines); polylines != want {
		t.Errorf("got %d lines, want %d: one for each library in each panel", polylines, want)
	}
}
