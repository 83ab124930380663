package bench

import (
	"fmt"
	"math"
	"strings"
)

// What is drawn: one line for each library, on one client.
var lines = []struct{ library, driver, colour string }{
	{Redlatch, GoRedis, "#c0392b"},
	{"redsync", GoRedis, "#2471a3"},
	{"redislock", GoRedis, "#229954"},
	{"rueidislock", Rueidis, "#8e44ad"},
}

const (
	panelWidth, panelHeight = 300.0, 240.0
	top, left, gap          = 40.0, 60.0, 80.0
)

// SVG draws the commands for a hand-over and the idle time of the lock over the number of
// clients, both on logarithmic axes.
func (r *Results) SVG() string {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 350" font-family="sans-serif" font-size="12">` + "\n")
	b.WriteString(`<rect width="800" height="350" fill="white"/>` + "\n")
	r.panel(&b, left, "Redis commands for a hand-over", func(h HandOver) float64 { return h.Commands })
	r.panel(&b, left+panelWidth+gap, "idle time of the lock, p50, ms", func(h HandOver) float64 { return h.IdleP50.Seconds() * 1e3 })
	for i, l := range lines {
		x := left + float64(i)*150
		fmt.Fprintf(&b, `<rect x="%.0f" y="325" width="14" height="4" fill="%s"/><text x="%.0f" y="331">%s</text>`+"\n", x, l.colour, x+20, l.library)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws one chart at x, its axes fit to the powers of ten and of two around the
// values.
func (r *Results) panel(b *strings.Builder, x float64, title string, value func(HandOver) float64) {
	clients := []int{2, 8, 50, 200}
	low, high := math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, n := range clients {
			v := value(r.at(n, l.library, l.driver))
			low, high = min(low, v), max(high, v)
		}
	}
	low, high = math.Floor(math.Log10(max(low, 1e-3))), math.Ceil(math.Log10(max(high, 1e-2)))
	px := func(n int) float64 { return x + panelWidth*math.Log(float64(n)/2)/math.Log(100) }
	py := func(v float64) float64 {
		return top + panelHeight*(high-math.Log10(max(v, 1e-3)))/(high-low)
	}

	fmt.Fprintf(b, `<text x="%.0f" y="25" font-weight="bold">%s</text>`+"\n", x, title)
	for power := low; power <= high; power++ {
		v := math.Pow(10, power)
		fmt.Fprintf(b, `<line x1="%.0f" y1="%.1f" x2="%.0f" y2="%.1[2]f" stroke="#ddd"/>`, x, py(v), x+panelWidth)
		fmt.Fprintf(b, `<text x="%.0f" y="%.1f" text-anchor="end">%g</text>`+"\n", x-6, py(v)+4, v)
	}
	for _, n := range clients {
		fmt.Fprintf(b, `<text x="%.1f" y="%.0f" text-anchor="middle">%d</text>`+"\n", px(n), top+panelHeight+18, n)
	}
	fmt.Fprintf(b, `<text x="%.0f" y="%.0f" text-anchor="middle">clients</text>`+"\n", x+panelWidth/2, top+panelHeight+34)
	for _, l := range lines {
		var points []string
		for _, n := range clients {
			p := fmt.Sprintf("%.1f,%.1f", px(n), py(value(r.at(n, l.library, l.driver))))
			points = append(points, p)
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2.5"/>`+"\n", strings.Join(points, " "), l.colour)
	}
}
