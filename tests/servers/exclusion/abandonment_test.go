package exclusion_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
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
	Cluster             bool
	User, Password      string
	Thing, Name, Prefix string
}

// holdUntilKilled is the holder process. While it holds it says until when, in
// microseconds, whenever that has moved. It ends with its standard input.
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
	for _, c := range dial(spec.Addrs, redis.Options{Username: spec.User, Password: spec.Password}, spec.Cluster) {
		nodes = append(nodes, goredis.New(c))
	}
	opts := brief
	opts.KeyPrefix = spec.Prefix
	p, err := redlatch.New(&opts, nodes...)
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
		lease, err := l.Lock(context.Background())
		if err != nil {
			return err
		}
		go func() {
			_, _ = os.Stdin.Read(make([]byte, 1))
			os.Exit(1)
		}()
		for said := int64(0); lease.Context().Err() == nil; time.Sleep(time.Millisecond) {
			if until := lease.ValidUntil().UnixMicro(); until != said {
				fmt.Println(until)
				said = until
			}
		}
		return context.Cause(lease.Context())
	}
	return fmt.Errorf("no thing named %q", spec.Thing)
}

// holder starts a process that holds the lock and returns the function that kills it,
// which returns until when the process said last that it holds.
func holder(t *testing.T, spec holderSpec) (kill func() (until time.Time)) {
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
	held := make(chan struct{}) // closed with the first line
	over := make(chan struct{})
	var until time.Time
	go func() {
		defer close(over)
		once := sync.OnceFunc(func() { close(held) })
		defer once()
		for lines := bufio.NewScanner(out); lines.Scan(); once() {
			us, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				t.Errorf("the holder process: %s", lines.Text())
				return
			}
			until = time.UnixMicro(us)
		}
	}()
	kill = func() time.Time {
		_ = cmd.Process.Kill()
		<-over
		_ = cmd.Wait()
		return until
	}
	t.Cleanup(func() { kill() })
	<-held
	if t.Failed() {
		t.FailNow()
	}
	return kill
}

// testAbandonment kills the process of a holder: the lock is free when its last lease has
// ended, and not before.
func testAbandonment(t *testing.T, s *subject) {
	name := s.named("abandonment")
	s.prepare(t, name)
	kill := holder(t, holderSpec{
		redistest.Addrs(s.servers), s.cluster, s.user.Username, s.user.Password, s.thing.name, name, s.prefix,
	})
	l := s.elsewhere(t, name, brief)

	// Longer than Expiry, so that the holder must have extended.
	ctx, cancel := context.WithTimeout(t.Context(), brief.Expiry*3/2)
	defer cancel()
	if lease, err := l.Lock(ctx); !errors.Is(err, core.ErrNotAcquired) {
		t.Fatalf("got %v, %v while the holder lives, want ErrNotAcquired", lease, err)
	}

	until := kill()
	killed := time.Now()
	if !until.After(killed) {
		t.Fatalf("the holder was killed %v after its lease had ended, want before", killed.Sub(until))
	}
	lease := lock(t, l)
	granted := time.Now()
	if early := until.Sub(granted); early > 0 {
		t.Errorf("granted %v before the dead holder's lease ended", early)
	}
	// To the millisecond in TestPeer20CrashedHolder; here the machine may stand still for seconds.
	if took := granted.Sub(killed); took > brief.Expiry+5*time.Second {
		t.Errorf("free after %v, want at most the expiry, %v", took, brief.Expiry)
	}
	t.Logf("free %v after the holder's lease ended, %v after it was killed", granted.Sub(until), granted.Sub(killed))
	release(t, lease)
}
