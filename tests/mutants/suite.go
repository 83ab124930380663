package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// suites are the tests that are to notice, in the order in which they are run: those
// that need no server and no real time.
var suites = []struct {
	dir      string // of the module
	packages []string
}{
	{".", []string{"./internal/vote"}},
	{".", []string{"./internal/cluster", "./internal/hold", "./internal/line"}},
	{".", []string{"./core", "./redlock", "./internal/options", "./internal/keys", "./internal/failure"}},
	{"tests", []string{"./virtual"}},
}

// kill runs the suites until a test fails, and returns that test. Overlay may be empty. Of a
// script those that run it come first; of the decision only the walk counts.
func kill(ctx context.Context, root, overlay, file string, generated bool) (test string, err error) {
	order := slices.Clone(suites)
	switch {
	case generated:
		order = order[:1]
	case strings.HasSuffix(file, ".lua"):
		slices.Reverse(order)
	}
	for _, s := range order {
		args := []string{"test", "-json", "-count=1", "-vet=off", "-failfast", "-timeout=90s"}
		if overlay != "" {
			args = append(args, "-overlay="+overlay)
		}
		cmd := exec.CommandContext(ctx, "go", append(args, s.packages...)...)
		cmd.Dir = filepath.Join(root, s.dir)
		cmd.Env = append(os.Environ(), "GOWORK=off")
		test, err := failure(cmd)
		if test != "" || err != nil {
			return test, err
		}
	}
	return "", nil
}

const module = "github.com/redlatch/redlatch"

// event is a line of the output of go test -json.
type event struct{ Action, Package, Test, Output, ImportPath string }

// failure runs go test and returns the first test that failed, the innermost.
func failure(cmd *exec.Cmd) (test string, err error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	var build strings.Builder
	broken, running := false, map[string]string{} // the last test begun in each package
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch e.Action {
		case "build-output":
			build.WriteString(e.Output)
		case "build-fail":
			broken = true
		case "run":
			running[e.Package] = e.Test
		case "fail":
			// A subtest fails before its parent, and is the better answer.
			if e.Test == "" {
				e.Test = running[e.Package] // it did not come to an end
			}
			if e.Test != "" && test == "" {
				test = strings.TrimPrefix(e.Package, module+"/") + "." + e.Test
			}
		}
	}
	if err := lines.Err(); err != nil {
		return "", err
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case broken:
		return "", fmt.Errorf("it does not build:\n%s", build.String())
	case test != "":
		return test, nil
	case err == nil:
		return "", nil
	case errors.As(err, &exit):
		return "", fmt.Errorf("go test failed, but no test did: %s", stderr.String())
	default:
		return "", err
	}
}
