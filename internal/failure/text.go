package failure

import (
	"fmt"
	"strings"
)

const name = "redlatch: "

// Errorf is fmt.Errorf, but that the library's name stands in the text once, however many
// of its errors are within, and that these stand in one line.
func Errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	text := strings.ReplaceAll(err.Error(), "\n"+name, "; ")
	if head, rest, ok := strings.Cut(text, name); ok {
		text = head + name + strings.ReplaceAll(rest, name, "")
	}
	return said{text, err}
}

// Say returns err with another text.
func Say(text string, err error) error { return said{text, err} }

type said struct {
	text string
	err  error
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.err }
