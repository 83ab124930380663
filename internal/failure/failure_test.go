package failure_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/redlatch/redlatch/internal/failure"
)

// Replies as servers send them, and errors that only look like some.
func TestOf(t *testing.T) {
	for _, test := range []struct {
		text  string
		want  failure.Class
		reply bool
	}{
		{"LOADING Redis is loading the dataset in memory", failure.Passes, true},
		{"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", failure.Passes, true},
		{"BUSYKEY Target key name already exists.", failure.Person, true},
		{"MISCONF Errors writing to the AOF file: No space left on device", failure.Passes, true},
		{"OOM command not allowed when used memory > 'maxmemory'. script: 0123456789012345678901234567890123456789, on @user_script:12.", failure.Passes, true},
		{"ERR max number of clients reached", failure.Passes, true},
		{"ERR max number of clients + cluster connections reached", failure.Passes, true},
		{"ERR Script attempted to access a non local key in a cluster node script: 0123456789012345678901234567890123456789, on @user_script:7.", failure.Passes, true},
		{"ERR Protocol error: unauthenticated multibulk length", failure.Person, true},
		{"ERR Protocol error: invalid bulk length", failure.Mistake, true},
		{"WRONGPASS invalid username-password pair or user is disabled.", failure.Person, true},
		{"NOPERM No permissions to access a key", failure.Person, true},
		{"MOVED 3999 127.0.0.1:6381", failure.Person, true},
		{"SOMETHINGNEW happened", failure.Person, true},
		{"WRONGTYPE Operation against a key holding the wrong kind of value", failure.Mistake, true},
		{"ERR unknown command 'EVALSHA'", failure.Mistake, true},
		{"ERR", failure.Passes, false},
		{"EOF", failure.Passes, false},
		{"dial tcp 127.0.0.1:1: connect: connection refused", failure.Passes, false},
		{"the server said LOADING", failure.Passes, false},
		{"Loading data", failure.Passes, false},
		{"tls: failed to verify certificate: x509: certificate has expired", failure.Passes, false},
	} {
		err := fmt.Errorf("not verified: %w", errors.Join(fmt.Errorf("call: %w", errors.New(test.text))))
		if got := failure.Of(err); got != test.want {
			t.Errorf("%s: got the class %d, want %d", test.text, got, test.want)
		}
		if got := failure.Reply(err); (got != "") != test.reply || test.reply && got != test.text {
			t.Errorf("%s: got the reply %q", test.text, got)
		}
	}
	if failure.Reply(nil) != "" || failure.Of(nil) != failure.Passes {
		t.Error("no error has a reply")
	}
}

// No entry of the table hides another, and users have the same table.
func TestRepliesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	_, table, _ := strings.Cut(string(doc), "| reply | class |")
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	classes := map[failure.Class]string{failure.Passes: "passes by itself", failure.Person: "needs a person", failure.Mistake: "the caller's mistake"}
	for i, e := range failure.Replies {
		class := classes[e.Class]
		if e.Served {
			class += ", and `Lock` waits from the first"
		}
		row := fmt.Sprintf("| `%s` | %s | %s |", e.Begin, class, e.Why)
		if i >= len(rows) || rows[i] != row {
			t.Errorf("row %d of docs/errors.md is not\n%s", i+1, row)
		}
		for _, earlier := range failure.Replies[:i] {
			if strings.HasPrefix(e.Begin+" ", earlier.Begin+" ") {
				t.Errorf("%s is never reached after %s", e.Begin, earlier.Begin)
			}
		}
	}
	if len(rows) != len(failure.Replies) {
		t.Errorf("docs/errors.md has %d rows, want %d", len(rows), len(failure.Replies))
	}
}

// However the library's errors are nested, its name stands in the text once.
func TestErrorf(t *testing.T) {
	root := errors.New("redlatch: invalid")
	err := failure.Errorf("%w: %w", root, errors.Join(errors.New("redlatch: node 0: EOF"), errors.New("redlatch: node 2: EOF")))
	if want := "redlatch: invalid: node 0: EOF; node 2: EOF"; err.Error() != want || !errors.Is(err, root) {
		t.Errorf("got %q, want %q that is still its parts", err, want)
	}
}
