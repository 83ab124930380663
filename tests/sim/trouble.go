package sim

import (
	"bufio"
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2/server"
)

// refusals are what a node answers in each of its troubles.
var refusals = map[Fault]string{
	OutOfMemory:  "OOM command not allowed when used memory > 'maxmemory'.",
	DiskFailed:   "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
	ServerBusy:   "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
	NodeDemoted:  "READONLY You can't write against a read only replica.",
	Unauthorized: "WRONGPASS invalid username-password pair or user is disabled.",
	SlotOpen:     "TRYAGAIN Multiple keys request during rehashing of slot",
}

// nonLocal is what a script gets for a key that the node of a cluster has not.
const nonLocal = "ERR Script attempted to access a non local key in a cluster node"

// Trouble makes the node refuse, in the way of one of the [refusals], until it is
// relieved. false: it does so already. Troubles outlive crashes.
func (n *Node) Trouble(f Fault) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, is := n.troubles[f]; is {
		return false
	}
	n.troubles[f] = false
	return true
}

// Relieve ends a trouble, and does nothing where there is none.
func (n *Node) Relieve(f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.troubles, f)
}

// refuse returns what a call or command gets from a node in trouble f, "" if it is not in
// it, n.mu held. A trouble counts once it has met something.
func (n *Node) refuse(f Fault) string {
	met, is := n.troubles[f]
	if !is {
		return ""
	}
	if !met {
		n.troubles[f] = true
		n.stats.Count(f)
	}
	return refusals[f]
}

// refuseCall returns what the node answers to a call without running it, n.mu held.
func (n *Node) refuseCall(args []string) string {
	for _, f := range []Fault{Unauthorized, ServerBusy} {
		if text := n.refuse(f); text != "" {
			return text
		}
	}
	// A node whose slot is being moved away has what has not been moved yet. The other one,
	// which is asked where it has none of the keys, serves a call of several keys only if it
	// has all of them.
	if _, open := n.troubles[SlotOpen]; !open {
		return ""
	}
	count, _ := strconv.Atoi(args[2])
	missing := n.missing(args[3:][:min(count, len(args)-3)])
	n.moved = count == 1 && missing
	if count > 1 && missing {
		return n.refuse(SlotOpen)
	}
	return ""
}

// refuseCommand returns what a command within a script gets instead of being run, n.mu
// held. As in Redis no trouble with memory or disk stops a script that has written already.
func (n *Node) refuseCommand(args []string, wrote bool) string {
	c := commands[strings.ToLower(args[0])]
	if _, open := n.troubles[SlotOpen]; open && !n.moved && n.missing(c.keys(args)) {
		n.refuse(SlotOpen)
		return nonLocal
	}
	if wrote || !c.write {
		return ""
	}
	for _, f := range []Fault{NodeDemoted, DiskFailed} {
		if text := n.refuse(f); text != "" {
			return text
		}
	}
	if c.denyoom {
		return n.refuse(OutOfMemory)
	}
	return ""
}

// missing tells whether the node has not all of the keys.
func (n *Node) missing(keys []string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return !n.redis.Exists(key) })
}

// A command is what Redis says about one.
type command struct {
	write, denyoom    bool
	first, last, step int // where its keys are, from the end if negative; first 0: none
}

// keys are those among the command's arguments, which begin with its name.
func (c command) keys(args []string) (keys []string) {
	last := c.last
	if last < 0 {
		last += len(args)
	}
	for i := c.first; i > 0 && i <= last && i < len(args); i += c.step {
		keys = append(keys, args[i])
	}
	return keys
}

// commands are Redis's commands by name, once a node has booted.
var (
	commands map[string]command
	learn    sync.Once
)

// learnCommands reads the answer to COMMAND, which miniredis has from a real server.
func learnCommands(s *server.Server) error {
	var err error
	learn.Do(func() {
		var buf bytes.Buffer
		peer := server.NewPeer(bufio.NewWriter(&buf))
		s.Dispatch(peer, []string{"COMMAND"})
		peer.Flush()
		var reply any
		if reply, err = server.ParseReply(bufio.NewReader(&buf)); err != nil {
			return
		}
		commands = map[string]command{}
		for _, c := range reply.([]any) {
			info := c.([]any) // name, arity, flags, first, last, step
			is := func(flag string) bool { return slices.Contains(info[2].([]any), any(server.Simple(flag))) }
			commands[info[0].(string)] = command{is("write"), is("denyoom"), info[3].(int), info[4].(int), info[5].(int)}
		}
	})
	return err
}
