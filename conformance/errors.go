package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/core"
)

const (
	errorRule    = `a server's error reply stays in the error chain with its text as the server sent it, code first ("LOADING ...", "NOPERM ...")`
	closedRule   = "a call on a client that has been closed returns an error that is core.ErrClosed"
	noScriptRule = "when EVALSHA meets a script that is not cached, the error satisfies errors.Is(err, core.ErrNoScript), and no other error does"
)

var errorChecks = []check{
	{name: "ErrorReply", rule: errorRule, run: errorReply},
	{name: "ErrorOfCommand", rule: errorRule, run: errorOfCommand},
	{name: "ErrorInScript", rule: "errors come back as they are; none is turned into a result", run: errorInScript},
	{name: "NoScript", rule: noScriptRule, run: noScript},
	{name: "NotNoScript", rule: noScriptRule, run: notNoScript},
	{name: "EvalThenEvalSha", rule: "Eval runs the script source, which the server caches; EvalSha runs the cached script", run: evalThenEvalSha},
	{name: "Closed", rule: closedRule, run: (*trial).warm, closed: wantClosed},
	{name: "Check", rule: "Check returns an error for a client that cannot serve, and for no other", run: checkOK},
}

// chain calls visit with err and every error that it wraps.
func chain(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch w := err.(type) {
	case interface{ Unwrap() error }:
		chain(w.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, e := range w.Unwrap() {
			chain(e, visit)
		}
	}
}

// wantReply reports an answer whose error has no reply in its chain that is text,
// or, if whole is false, that begins with it.
func (c *trial) wantReply(what string, got answer, text string, whole bool) {
	if !c.wantError(what, got) {
		return
	}
	found := false
	chain(got.err, func(err error) {
		found = found || err.Error() == text || !whole && strings.HasPrefix(err.Error(), text)
	})
	if !found {
		c.errorf("%s: got the error %q (%T), want one with %q in its chain", what, got.err, got.err, text)
	}
}

func errorReply(c *trial) {
	for _, text := range []string{
		"LOADING Redis is loading the dataset in memory",
		"READONLY You can't write against a read only replica.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"CLUSTERDOWN The cluster is down",
		"NOPERM this user has no permissions to access one of the keys used as arguments",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"ERR something else",
		"OWNCODE of a script",
	} {
		for _, w := range c.ways("return redis.error_reply(ARGV[1])") {
			what := fmt.Sprintf("%s with the error reply %q", w.name, text)
			c.wantReply(what, c.run(w, []string{c.prefix}, []string{text}), text, true)
		}
	}
}

func errorOfCommand(c *trial) {
	key := c.key("string")
	c.on(c.side).mustEval("redis.call('SET', KEYS[1], 'x', 'PX', 120000) return {1}", []string{key}, nil)
	for _, w := range c.ways("return redis.pcall('LPUSH', KEYS[1], 'x')") {
		c.wantReply(w.name+" of LPUSH on a string", c.run(w, []string{key}, nil), "WRONGTYPE ", false)
	}
}

func errorInScript(c *trial) {
	for _, source := range []string{"return {nothing.at.all}", "this is no script", "error('raised')"} {
		got := c.run(c.ways(source)[0], []string{c.prefix}, nil)
		if c.wantError("Eval of "+source, got) && errors.Is(got.err, core.ErrNoScript) {
			c.errorf("Eval of %s: got %v, want no core.ErrNoScript", source, got)
		}
	}
}

func noScript(c *trial) {
	source := "return {7} -- " + rand.Text()
	ways := c.ways(source)
	for range 2 {
		got := c.run(ways[1], []string{c.prefix}, nil)
		if !c.wantError("EvalSha of a script that the server has not seen", got) {
			continue
		}
		if !errors.Is(got.err, core.ErrNoScript) {
			c.errorf("EvalSha of a script that the server has not seen: got the error %q (%T), want core.ErrNoScript in its chain", got.err, got.err)
		}
	}
	c.want("Eval after it", c.run(ways[0], []string{c.prefix}, nil), 7)
	c.want("EvalSha after Eval", c.run(ways[1], []string{c.prefix}, nil), 7)
}

func notNoScript(c *trial) {
	for _, text := range []string{
		"ERR the code of this error is not NOSCRIPT",
		"LOADING Redis is loading the dataset in memory",
	} {
		for _, w := range c.ways("return redis.error_reply(ARGV[1])") {
			got := c.run(w, []string{c.prefix}, []string{text})
			if c.wantError(w.name, got) && errors.Is(got.err, core.ErrNoScript) {
				c.errorf("%s with the error reply %q: got core.ErrNoScript (%q), want another error", w.name, text, got.err)
			}
		}
	}
}

// evalThenEvalSha also finds an implementation that keeps sources and sends EVAL
// for EvalSha: of a script that only its sum is given of it has none.
func evalThenEvalSha(c *trial) {
	key := c.key("counter")
	source := countUp + " -- " + rand.Text()
	ways := c.ways(source)
	c.want("Eval", c.run(ways[0], []string{key}, nil), 1)
	for want := range int64(3) {
		c.want("EvalSha", c.run(ways[1], []string{key}, nil), want+2)
	}
	// Cached by another client, never seen by this one.
	other := "return {8} -- " + rand.Text()
	c.on(c.side).mustEval(other, []string{key}, nil)
	c.want("EvalSha of a script that another client has cached", c.run(c.ways(other)[1], []string{key}, nil), 8)
}

// wantClosed makes a call after what dial has registered with t.Cleanup has closed the
// client. A Scripter that still answers has nothing to close.
func wantClosed(t *testing.T, c *trial) {
	if c.s == nil { // dial has failed
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTime())
	defer cancel()
	for _, w := range c.ways("return {5}") {
		select {
		case got := <-c.start(ctx, w, []string{c.prefix}, nil):
			if got.err != nil && !errors.Is(got.err, core.ErrClosed) {
				t.Errorf("%s after the client was closed: got the error %q (%T), want core.ErrClosed in its chain\nrule: %s", w.name, got.err, got.err, closedRule)
			}
		case <-time.After(callTime() + c.overrun):
			t.Errorf("%s after the client was closed has not come back after %v\nrule: %s", w.name, callTime()+c.overrun, closedRule)
		}
	}
}

func checkOK(c *trial) {
	checker, ok := c.s.(interface{ under() core.Scripter }).under().(core.Checker)
	if !ok {
		c.skipf("the Scripter is no core.Checker, which is optional")
	}
	if err := checker.Check(); err != nil {
		c.errorf("Check of a client that works: got %q, want nil", err)
	}
}
