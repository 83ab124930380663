package leaktest

import (
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"
)

// TestMain shows that Check passes what leaves nothing: TestCheck does, but for the
// goroutines of package os/signal.
func TestMain(m *testing.M) { os.Exit(Check(m.Run())) }

func TestCheck(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	defer signal.Stop(signals)
	end := make(chan struct{})
	ended := make(chan struct{})
	go parked(end, ended)

	var out strings.Builder
	if got := check(0, time.Millisecond, &out); got != 1 {
		t.Errorf("with a goroutine: got code %d, want 1", got)
	}
	if got := out.String(); !strings.Contains(got, "leaktest.parked(") || strings.Contains(got, "os/signal") {
		t.Errorf("with a goroutine: got %q, want its stack, and none of os/signal", got)
	}
	out.Reset()
	if got := check(3, time.Millisecond, &out); got != 3 || out.Len() > 0 {
		t.Errorf("after tests that failed: got code %d and %q, want theirs, 3, and nothing", got, &out)
	}
	close(end)
	<-ended
}

func parked(end <-chan struct{}, ended chan<- struct{}) {
	<-end
	close(ended)
}
