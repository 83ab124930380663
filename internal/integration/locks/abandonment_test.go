package locks_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
)

// holderEnv makes a run of this test binary a process that locks what it says and
// holds it until it is killed.
const holderEnv = "REDLATCH_TEST_HOLDER"

type holderSpec struct {
	Addrs               []string
	User, Password      string
	Thing, Name, Prefix string
}

// holdUntilKilled is the holder process. It says "held" when it holds, and ends with
// its standard input.
func holdUntilKilled(text string) {
	fmt.Println(hold(text))
	os.Exit(1)
}

func hold(text string) error {
	var spec holderSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	var nodes []core.Scripter
	for _, addr := range spec.Addrs {
		nodes = append(nodes, goredis.New(redis.NewClient(&redis.Options{Addr: addr, Username: spec.User, Password: spec.Password})))
	}
	opts := brief
	opts.KeyPrefix = spec.Prefix
	p, err := redlatch.New(nodes, &opts)
	if err != nil {
		return err
	}
	for _, th := range things {
		if th.name != spec.Thing {
			continue
		}
		l, err := th.make(p, spec.Name)
		if err != nil {
			return err
		}
		if _, err := l.Lock(context.Background()); err != nil {
			return err
		}
		fmt.Println("held")
		_, _ = os.Stdin.Read(make([]byte, 1))
		return errors.New("not killed")
	}
	return fmt.Errorf("no thing named %q", spec.Thing)
}

// holder starts a process that holds the lock and returns the function that kills it.
func holder(t *testing.T, spec holderSpec) (kill func()) {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), holderEnv+"="+string(text))
	if _, err := cmd.StdinPipe(); err != nil { // open as long as this process lives
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "held" {
		t.Fatalf("the holder process: %q, %v", line, err)
	}
	return kill
}

// testAbandonment kills the process of a holder: the lock is free after Expiry.
func testAbandonment(t *testing.T, s *subject) {
	name := s.named("abandonment")
	s.prepare(t, name)
	kill := holder(t, holderSpec{
		redistest.Addrs(s.servers), s.user.Username, s.user.Password, s.thing.name, name, s.prefix,
	})
	l := s.elsewhere(t, name, brief)

	// Longer than Expiry, so that the holder must have extended.
	ctx, cancel := context.WithTimeout(t.Context(), brief.Expiry*3/2)
	defer cancel()
	if lease, err := l.Lock(ctx); !errors.Is(err, core.ErrNotAcquired) {
		t.Fatalf("got %v, %v while the holder lives, want ErrNotAcquired", lease, err)
	}

	kill()
	killed := time.Now()
	if n := s.holding(t, s.holdKey(name)); n == 0 && time.Since(killed) < brief.Expiry/4 {
		t.Error("the hold went with the process, which must have released it")
	}
	lease := lock(t, l)
	// To the second in TestPeer20CrashedHolder; here on a machine that may be busy.
	if took := time.Since(killed); took > brief.Expiry+10*time.Second {
		t.Errorf("free after %v, want at most the expiry, %v", took, brief.Expiry)
	}
	release(t, lease)
}
