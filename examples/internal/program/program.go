// Package program runs a program for a test, which waits for what the program says.
package program

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for a line or for the end: longer than any lease here
// lives on a machine that stands still for some seconds.
const patience = time.Minute

// A Program is one that runs.
type Program struct {
	tb    testing.TB
	ended chan struct{}
	err   error // of the end

	mu   sync.Mutex
	said strings.Builder
	news chan struct{} // closed when there is more
	read int           // how much of said has been waited for
}

// Start starts the executable at path. It is killed when the test ends.
func Start(tb testing.TB, path string, args ...string) *Program {
	tb.Helper()
	p := &Program{tb: tb, ended: make(chan struct{}), news: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		cancel()
		tb.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	tb.Cleanup(func() {
		cancel()
		<-p.ended
		if tb.Failed() {
			tb.Logf("%s said:\n%s", path, p.said.String())
		}
	})
	return p
}

// Write takes what the program says.
func (p *Program) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.news)
	p.news = make(chan struct{})
	return p.said.Write(text)
}

// Await waits until the program says a line with text in it, after those that were
// awaited before, and returns the line.
func (p *Program) Await(text string) string {
	p.tb.Helper()
	late := time.After(patience)
	for over := false; ; {
		line, news := p.next(text)
		if line != "" {
			return line
		}
		if over {
			p.tb.Fatalf("the program has ended (%v) without saying %q", p.err, text)
		}
		select {
		case <-news:
		case <-p.ended:
			over = true
		case <-late:
			p.tb.Fatalf("the program has not said %q within %v", text, patience)
		}
	}
}

func (p *Program) next(text string) (line string, news <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(p.said.String()[p.read:]) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		p.read += len(line)
		if strings.Contains(line, text) {
			return strings.TrimSpace(line), nil
		}
	}
	return "", p.news
}

// End waits until the program ends, which must be without an error.
func (p *Program) End() {
	p.tb.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.tb.Fatalf("the program has not ended within %v", patience)
	}
	if p.err != nil {
		p.tb.Fatalf("the program has ended with %v", p.err)
	}
}
