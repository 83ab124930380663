//go:build unix

package main

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/redlatch/redlatch/conformance/redistest/internal/guard"
)

// startChild starts cmd; pass sends it a signal, done is for when it has ended.
//
// It is the head of a group of its own, so that a signal, or the guard, reaches
// what it has started as well. At a terminal it stays in ours: it could not read
// from the terminal otherwise, and the terminal's signals reach it all the same.
func startChild(cmd *exec.Cmd) (pass func(os.Signal), done func(), err error) {
	group := !atTerminal()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: group}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	if !group {
		return func(s os.Signal) { cmd.Process.Signal(s) }, func() {}, nil
	}
	pid := cmd.Process.Pid
	guard.Add(guard.Group, strconv.Itoa(pid))
	pass = func(s os.Signal) {
		if number, ok := s.(syscall.Signal); ok {
			syscall.Kill(-pid, number)
		}
	}
	return pass, func() { guard.Done(guard.Group, strconv.Itoa(pid)) }, nil
}

// atTerminal reports whether standard input may be a terminal.
func atTerminal() bool {
	in, err := os.Stdin.Stat()
	if err != nil || in.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(in, null)
}

// signalCode is what a shell makes of a command that a signal has ended.
func signalCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return 2
}
