package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// A stage is where the tour is told: plain text, with colours only on a terminal.
type stage struct {
	mu      sync.Mutex
	out     io.Writer
	colours bool
	chapter int
	began   time.Time // of the chapter
}

func newStage(out *os.File) *stage {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &stage{out: out, colours: terminal && os.Getenv("NO_COLOR") == ""}
}

// The colours, by their numbers in escape sequences.
const (
	bold  = 1
	dim   = 2
	red   = 31
	green = 32
	cyan  = 36
)

func (s *stage) paint(colour int, text string) string {
	if !s.colours {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, text)
}

func (s *stage) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format, args...)
}

// title prints a line that stands out.
func (s *stage) title(format string, args ...any) {
	s.print("\n%s\n\n", s.paint(bold, fmt.Sprintf(format, args...)))
}

// open begins a chapter.
func (s *stage) open(title string) {
	s.chapter++
	s.title("%d  %s", s.chapter, title)
	s.began = time.Now()
}

// say prints a line of the story.
func (s *stage) say(format string, args ...any) {
	s.print("   %s\n", fmt.Sprintf(format, args...))
}

func (s *stage) gap() { s.print("\n") }

// event prints what happened to whom, and when in the chapter.
func (s *stage) event(who, format string, args ...any) {
	at := fmt.Sprintf("%6.3f s", time.Since(s.began).Seconds())
	s.print("   %s  %-8s %s\n", s.paint(dim, at), who, fmt.Sprintf(format, args...))
}

func (s *stage) good(text string) string { return s.paint(green, text) }
func (s *stage) bad(text string) string  { return s.paint(red, text) }
