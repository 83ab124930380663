package hold

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/failure"
)

// inScript is what a server adds to an error within a script: the script's hash and line.
var inScript = regexp.MustCompile(` script: [0-9a-f]{40}, on @\w+:\d+\.?`)

// explain returns a node's failure with a text that says what it means for this lock, where
// what the client or the server says would not.
func (l *Target) explain(err error) error {
	text := err.Error()
	switch {
	case errors.Is(err, core.ErrClosed):
		said := strings.TrimPrefix(text, core.ErrClosed.Error())
		return failure.Say("the client was closed"+said, err)
	case failure.Has(err, "WRONGTYPE"):
		return failure.Say(fmt.Sprintf("the key %q does not hold what a %s keeps there (WRONGTYPE): another program, or a lock of another kind, uses that name",
			l.keys[0], l.Named), err)
	case inScript.MatchString(text):
		return failure.Say(strings.TrimSpace(inScript.ReplaceAllString(text, "")), err)
	}
	return err
}
