package sim

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/redlatch/redlatch/core"
)

// Errors of links, as clients have them. errTimeout is a net.Error.
var (
	errRefused       = errors.New("dial: connection refused")
	errReset         = errors.New("read: connection reset by peer")
	errEOF           = fmt.Errorf("read: %w", io.EOF)
	errTimeout error = timeoutError{}
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "read: i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// A ReplyError is an error reply of a server, with its text as sent.
type ReplyError string

func (e ReplyError) Error() string { return string(e) }

// replyError turns the text of an error reply into the error that an adapter
// returns.
func replyError(text string) error {
	if strings.HasPrefix(text, "NOSCRIPT") {
		return fmt.Errorf("%w: %w", core.ErrNoScript, ReplyError(text))
	}
	return ReplyError(text)
}

// passing are error replies of servers that cannot serve at the moment.
var passing = []string{
	"LOADING Redis is loading the dataset in memory",
	"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
	"READONLY You can't write against a read only replica.",
	"CLUSTERDOWN The cluster is down",
}
