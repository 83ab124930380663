//go:build !unix

package main

import (
	"os"
	"os/exec"
)

// startChild starts cmd; pass sends it a signal, done is for when it has ended.
// Here a signal can only be the end.
func startChild(cmd *exec.Cmd) (pass func(os.Signal), done func(), err error) {
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return func(os.Signal) { cmd.Process.Kill() }, func() {}, nil
}

func signalCode(*os.ProcessState) int { return 2 }
