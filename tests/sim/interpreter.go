package sim

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// An interpreter runs scripts on a node's server as Redis does: in one Lua state
// that outlives them, in which no script can leave anything behind. miniredis
// makes a new state for each script, which costs more than the script itself;
// the commands that scripts call are miniredis's own.
type interpreter struct {
	state  *lua.LState
	server *server.Server
	cached map[string]*lua.FunctionProto // by SHA-1, as EVALSHA knows them
	buf    bytes.Buffer
	peer   *server.Peer
	failed *lua.LTable // the error that redis.call raised last
	wrote  bool        // the script has called a command that writes

	// refuse returns the error that a command gets instead of being run, or "".
	refuse func(args []string, wrote bool) string
}

// strict is what keeps scripts from leaving globals, as on a real server.
const strict = `
setmetatable(_G, {
  __newindex = function(_, n) error("Attempt to modify a readonly table, global " .. tostring(n), 2) end,
  __index = function(_, n) error("Script attempted to access nonexistent global variable '" .. tostring(n) .. "'", 2) end,
})`

func newInterpreter(s *server.Server, refuse func(args []string, wrote bool) string) (*interpreter, error) {
	in := &interpreter{state: lua.NewState(lua.Options{SkipOpenLibs: true}), server: s, cached: map[string]*lua.FunctionProto{}, refuse: refuse}
	in.peer = server.NewPeer(bufio.NewWriter(&in.buf))
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString, lua.MathLibName: lua.OpenMath,
	} {
		if err := in.state.CallByParam(lua.P{Fn: in.state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return nil, fmt.Errorf("sim: open %s: %w", name, err)
		}
	}
	redis := in.state.NewTable()
	in.state.SetFuncs(redis, map[string]lua.LGFunction{
		"call":         func(l *lua.LState) int { return in.call(l, true) },
		"pcall":        func(l *lua.LState) int { return in.call(l, false) },
		"error_reply":  func(l *lua.LState) int { return in.reply(l, "err") },
		"status_reply": func(l *lua.LState) int { return in.reply(l, "ok") },
	})
	in.state.SetGlobal("redis", redis)
	in.state.SetGlobal("KEYS", lua.LNil)
	in.state.SetGlobal("ARGV", lua.LNil)
	if err := in.state.DoString(strict); err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	return in, nil
}

// close frees the state.
func (in *interpreter) close() { in.state.Close() }

// run executes EVAL or EVALSHA with its arguments.
func (in *interpreter) run(args []string) answer {
	cmd, script := args[0], args[1]
	proto := in.cached[script]
	if cmd == "EVAL" {
		var err error
		if proto, err = compile(script); err != nil {
			return answer{err: replyError("ERR Error compiling script (new function): " + err.Error())}
		}
		sum := sha1.Sum([]byte(script))
		in.cached[hex.EncodeToString(sum[:])] = proto
	}
	if proto == nil {
		return answer{err: replyError("NOSCRIPT No matching script. Please use EVAL.")}
	}
	n, err := strconv.Atoi(args[2])
	if err != nil || n < 0 || n > len(args)-3 {
		return answer{err: replyError("ERR Number of keys can't be greater than number of args")}
	}
	globals := in.state.G.Global
	globals.RawSetString("KEYS", in.list(args[3:3+n]))
	globals.RawSetString("ARGV", in.list(args[3+n:]))
	in.failed, in.wrote = nil, false
	in.state.Push(in.state.NewFunctionFromProto(proto))
	if err := in.state.PCall(0, 1, nil); err != nil {
		in.state.SetTop(0)
		if in.failed != nil {
			return answer{err: replyError(in.failed.RawGetString("err").String())}
		}
		return answer{err: replyError("ERR " + strings.ReplaceAll(err.Error(), "\n", " "))}
	}
	got := in.state.Get(-1)
	in.state.SetTop(0)
	return integers(got)
}

func (in *interpreter) list(words []string) *lua.LTable {
	t := in.state.CreateTable(len(words), 0)
	for i, w := range words {
		t.RawSetInt(i+1, lua.LString(w))
	}
	return t
}

// call is redis.call, which raises the server's errors, and redis.pcall, which
// returns them.
func (in *interpreter) call(l *lua.LState, raise bool) int {
	args := make([]string, l.GetTop())
	for i := range args {
		switch a := l.Get(i + 1).(type) {
		case lua.LNumber:
			args[i] = a.String()
		case lua.LString:
			args[i] = string(a)
		default:
			l.RaiseError("Lua redis lib command arguments must be strings or integers")
		}
	}
	if len(args) == 0 {
		l.RaiseError("Please specify at least one argument for this redis.call() call")
	}
	v := in.execute(args)
	if t, ok := v.(*lua.LTable); ok && raise {
		if e := t.RawGetString("err"); e != lua.LNil {
			in.failed = t
			l.Error(t, 1)
		}
	}
	l.Push(v)
	return 1
}

// execute runs a command of a script, unless the server refuses it.
func (in *interpreter) execute(args []string) lua.LValue {
	in.buf.Reset()
	if text := in.refuse(args, in.wrote); text != "" {
		in.peer.WriteError(text)
	} else {
		in.wrote = in.wrote || commands[strings.ToLower(args[0])].write
		in.server.Dispatch(in.peer, args)
	}
	in.peer.Flush()
	v, _ := in.value(in.buf.Bytes())
	return v
}

// reply is redis.error_reply and redis.status_reply.
func (in *interpreter) reply(l *lua.LState, field string) int {
	t := l.NewTable()
	t.RawSetString(field, lua.LString(l.CheckString(1)))
	l.Push(t)
	return 1
}

// value turns a reply of the server into what Lua sees, and returns the rest.
func (in *interpreter) value(raw []byte) (lua.LValue, []byte) {
	line, rest, _ := bytes.Cut(raw, []byte("\r\n"))
	kind, text := line[0], string(line[1:])
	switch n, _ := strconv.Atoi(text); kind {
	case '+', '-':
		t := in.state.NewTable()
		t.RawSetString(map[byte]string{'+': "ok", '-': "err"}[kind], lua.LString(text))
		return t, rest
	case ':':
		return lua.LNumber(n), rest
	case '$':
		if n < 0 {
			return lua.LFalse, rest
		}
		return lua.LString(rest[:n]), rest[n+2:]
	case '*':
		if n < 0 {
			return lua.LFalse, rest
		}
		t := in.state.CreateTable(n, 0)
		for i := range n {
			var v lua.LValue
			v, rest = in.value(rest)
			t.RawSetInt(i+1, v)
		}
		return t, rest
	}
	panic(fmt.Sprintf("sim: the server replied %q", raw))
}

// integers is the reply of a script, as an adapter returns it: anything but a
// flat array of integers is an error that names what came.
func integers(v lua.LValue) answer {
	wrong := func(what lua.LValue) answer {
		return answer{err: fmt.Errorf("sim: got the reply %v (%v), want an array of integers", what, what.Type())}
	}
	t, ok := v.(*lua.LTable)
	if !ok {
		return wrong(v)
	}
	if e := t.RawGetString("err"); e != lua.LNil {
		return answer{err: replyError(e.String())}
	}
	if t.RawGetString("ok") != lua.LNil {
		return wrong(v)
	}
	reply := make([]int64, 0, t.Len())
	for i := 1; t.RawGetInt(i) != lua.LNil; i++ {
		n, ok := t.RawGetInt(i).(lua.LNumber)
		if !ok {
			return wrong(t.RawGetInt(i))
		}
		reply = append(reply, int64(n))
	}
	return answer{reply: reply}
}

var compiled sync.Map // source to *lua.FunctionProto

func compile(source string) (*lua.FunctionProto, error) {
	if p, ok := compiled.Load(source); ok {
		return p.(*lua.FunctionProto), nil
	}
	chunk, err := parse.Parse(strings.NewReader(source), "user_script")
	if err != nil {
		return nil, err
	}
	proto, err := lua.Compile(chunk, "user_script")
	if err != nil {
		return nil, err
	}
	compiled.Store(source, proto)
	return proto, nil
}
