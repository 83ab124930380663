package bench

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
)

func TestScanner(t *testing.T) {
	stream := "*1\r\n$4\r\nPING\r\n" +
		"*3\r\n$3\r\nSET\r\n$11\r\n*1\r\n$1\r\nx\r\n\r\n$0\r\n\r\n" + // an argument that looks like a request
		"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
	want := []string{"PING", "SET", "GET"}
	for size := 1; size <= len(stream); size++ {
		var got []string
		s := scanner{seen: func(command []byte) { got = append(got, string(command)) }}
		for rest := stream; rest != ""; {
			n := min(size, len(rest))
			s.feed([]byte(rest[:n]))
			rest = rest[n:]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in pieces of %d bytes: got %q, want %q", size, got, want)
		}
	}
}

// TestCounter compares what the counter sees with what the server has served. The
// contenders' scripts make calls inside, which the server counts too; so it is asked for
// the commands that the clients send and no script calls.
func TestCounter(t *testing.T) {
	s := open(t, 1)
	for _, c := range Contenders() {
		t.Run(strings.ReplaceAll(c.String(), " ", "-"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var count Counter
			client, err := c.Dial(s.Addrs(1), &count)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			own := names(c.String())
			if err := pairs(ctx, client, own, 10); err != nil { // scripts get cached
				t.Fatal(err)
			}
			const n = 100
			sent := count.Commands()
			before, _ := served(t, s)
			if err := pairs(ctx, client, own, n); err != nil {
				t.Fatal(err)
			}
			sent = count.Commands() - sent
			after, _ := served(t, s)
			if sent != 2*n {
				t.Errorf("counted %d commands, want %d: two for each pair", sent, 2*n)
			}
			scripts := int64(2)
			switch c.Library {
			case Bare, Apart, "redsync":
				scripts = 1 // the other is a plain SET
			}
			if after-before != scripts*n {
				t.Errorf("the server ran %d scripts, want %d", after-before, scripts*n)
			}
		})
	}
}

func open(tb testing.TB, n int) *Servers {
	tb.Helper()
	s, err := Open(tb.Context(), n)
	if err != nil {
		if _, none := exec.LookPath("redis-server"); none != nil && os.Getenv("REDLATCH_REQUIRED") == "" {
			redistest.LeaveOut(tb, "needs redis-server: %v", err)
		}
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	redistest.NeedReal(tb, s.group.Servers()) // miniredis has no statistics of commands
	tb.Log(s)
	return s
}

// TestWitness shows that an overlap does not go unnoticed.
func TestWitness(t *testing.T) {
	w := NewWitness(2)
	w.Record(true)
	for i := range 2 {
		w.Want()
		w.Enter(i)
		w.Leave(i)
	}
	if err := w.Err(); err != nil {
		t.Fatalf("got %v, want nil: the holders came one after the other", err)
	}
	w.Want()
	w.Want()
	w.Enter(0)
	w.Enter(1)
	if err := w.Err(); err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Fatalf("got %v, want the overlap", err)
	}
}

// TestOverlapEndsRun measures something that excludes nobody.
func TestOverlapEndsRun(t *testing.T) {
	s := open(t, 1)
	c := Contender{Library: "nothing", Driver: "none", Waits: true, Dial: func([]string, *Counter) (Client, error) { return nothing{}, nil }}
	_, err := MeasureHandOver(t.Context(), s, c, Contest{Clients: 4, Hold: time.Millisecond, For: 200 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Fatalf("got %v, want the overlap", err)
	}
}
