package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestTour takes the tour, which checks what it says, with leases that outlast a machine that
// stands still for some seconds.
func TestTour(t *testing.T) {
	options = leases(6 * time.Second)
	var out bytes.Buffer
	began := time.Now()
	if err := tour(t.Context(), &stage{out: &out}); err != nil {
		t.Fatalf("%s\n%v", out.String(), err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the tour took %v, at most a minute wanted", took)
	}
	for _, want := range []string{
		"With a mutex the balance is   20 of 20",
		"refused, its token is older than grace's",
		"still holds the first",
		"three holders of two permits",
		"That was the tour",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tour does not say %q:\n%s", want, out.String())
		}
	}
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Error("colours, though there is no terminal")
	}
}
