package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A chart draws who did what when, a row for each process.
type chart struct {
	mu    sync.Mutex
	spans []span
}

type span struct {
	row      string
	from, to time.Time
	mark     byte
}

// waits is the mark that gives way to others in the same cell.
const waits = '.'

// add records that row was in the state of that mark.
func (c *chart) add(row string, from, to time.Time, mark byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, span{row, from, to, mark})
}

// of returns the spans with that mark, in the order of their beginnings.
func (c *chart) of(mark byte) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []span
	for _, s := range c.spans {
		if s.mark == mark {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b span) int { return a.from.Compare(b.from) })
	return found
}

const cells = 60

func (c *chart) draw(s *stage, rows []string, legend string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, last := c.spans[0].from, c.spans[0].to
	for _, p := range c.spans {
		first, last = earlier(first, p.from), later(last, p.to)
	}
	cell := func(t time.Time) int { return int(cells * t.Sub(first) / (last.Sub(first) + 1)) }
	for _, row := range rows {
		line := []byte(strings.Repeat(" ", cells))
		for _, p := range c.spans {
			for i := cell(p.from); p.row == row && i <= cell(p.to); i++ {
				if p.mark != waits || line[i] == ' ' {
					line[i] = p.mark
				}
			}
		}
		s.print("   %-8s |%s|\n", row, s.paint(cyan, string(line)))
	}
	end := fmt.Sprintf("%.2f s", last.Sub(first).Seconds())
	s.print("   %s\n", s.paint(dim, fmt.Sprintf("%-8s 0 s%*s   %s", "", cells-1, end, legend)))
	s.gap()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
