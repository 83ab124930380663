package redistest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed images.sh
var imagesScript string

// build runs images.sh for the image ref, one test binary at a time. has tells
// whether the image is there by now.
func build(ctx context.Context, ref string, has func() bool) error {
	name := strings.TrimPrefix(ref, "redlatch/")
	for _, tool := range []string{"sh", "apt-get", "dpkg", "docker"} {
		if tool == "docker" && os.Getenv("REDLATCH_ENGINE") != "" {
			tool = os.Getenv("REDLATCH_ENGINE")
		}
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("no local image %s, and it cannot be built here: no %s; "+
				"give a local image this name, or name another one in REDLATCH_IMAGE", ref, tool)
		}
	}
	unlock, err := lock(ctx, filepath.Join(os.TempDir(), fmt.Sprintf("redlatch-redistest-images-%d.lock", os.Getuid())))
	if err != nil {
		return fmt.Errorf("no local image %s: %w", ref, err)
	}
	defer unlock()
	if has() {
		return nil // somebody else has built it meanwhile
	}
	cmd := exec.CommandContext(ctx, "sh", "-s", "--", name)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it tidies up
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdin = strings.NewReader(imagesScript)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the image %s: %w: %s", ref, err, bytes.TrimSpace(out.Bytes()))
	}
	if !has() {
		return errors.New("built the image " + ref + ", but the engine does not have it: is REDLATCH_ENGINE another engine?")
	}
	return nil
}
