package deployments_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// The rights that docs/acl.md names; a test compares the two.
var (
	needed = strings.Fields(`+eval +evalsha +time +get +set +del +exists +pttl +pexpire
		+hget +hmget +hset +hdel +hvals +zadd +zrem +zscore +zcard +zrank +zrange +zrangebyscore +zremrangebyscore`)
	push    = strings.Fields(`+publish +subscribe +unsubscribe +ping`)
	cluster = strings.Fields(`+cluster|slots`)
	guard   = strings.Fields(`+info`)
)

const (
	user     = "redlatch"
	password = "secret"
	prefix   = "app:"
)

// patterns are the keys and channels of locks whose key prefix is prefix.
func patterns(prefix string) []string {
	return []string{"~" + prefix + "*", "~{" + prefix + "*", "~{*}:" + prefix + "*", "&" + prefix + "redlatch:*"}
}

// setUser makes a user on the servers, with these rights and no others.
func setUser(t *testing.T, servers []*redistest.Server, who string, rules ...[]string) {
	t.Helper()
	args := []any{"ACL", "SETUSER", who, "reset", "on", ">" + password}
	for _, r := range slices.Concat(rules...) {
		args = append(args, r)
	}
	for _, s := range servers {
		c := redis.NewClient(&redis.Options{Addr: s.Addr(), DisableIdentity: true})
		defer c.Close()
		if err := c.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			c := redis.NewClient(&redis.Options{Addr: s.Addr(), DisableIdentity: true})
			defer c.Close()
			c.Do(context.Background(), "ACL", "DELUSER", who)
		})
	}
}

// login returns a program of a user's, on the servers as independent nodes.
func login(t *testing.T, servers []*redistest.Server, who string, opts *core.Options) *clients.Client {
	t.Helper()
	return clients.ConnectWith(t, redistest.Addrs(servers), opts, redis.Options{Username: who, Password: password}, nil)
}

func opts(poll time.Duration) *core.Options {
	return &core.Options{KeyPrefix: prefix, MinBusyWait: poll, MaxBusyWait: poll}
}

// broad does everything that a lock can do, so that each command is needed.
func broad(t *testing.T, servers []*redistest.Server, who string, poll, limit time.Duration, name string) error {
	t.Helper()
	a, b := login(t, servers, who, opts(poll)), login(t, servers, who, opts(poll))
	defer a.Close()
	defer b.Close()
	if err := everything(t, clients.At(redistest.Addrs(servers)...), a.Provider, b.Provider, prefix, name, limit); err != nil {
		return err
	}
	// Two limits, a waiter that leaves, an extension.
	quick := login(t, servers[:1], who, &core.Options{KeyPrefix: prefix, ExtensionCadence: 20 * time.Millisecond})
	defer quick.Close()
	sem := quick.Semaphore(name, 1)
	l, err := sem.Acquire(t.Context())
	if err != nil {
		return err
	}
	until := l.ValidUntil()
	for deadline := time.Now().Add(10 * time.Second); !l.ValidUntil().After(until); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("the lease was not extended")
		}
	}
	if _, err := quick.Semaphore(name, 2).TryAcquire(t.Context()); !errors.Is(err, core.ErrInvalid) {
		return fmt.Errorf("another limit: %w", err)
	}
	w := clients.Wait(t, sem.Acquire)
	if err := standing(clients.At(servers[0].Addr()).Line(t, clients.Semaphore, prefix+name), w); err != nil {
		return err
	}
	w.Cancel()
	if _, err := w.Result(); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("a waiter that leaves: %w", err)
	}
	if err := l.Release(t.Context()); err != nil {
		return err
	}
	// The limit is replaced, once the waiter's ticket has been withdrawn.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		_, err := quick.Semaphore(name, 2).TryAcquire(t.Context())
		if err == nil || time.Now().After(deadline) || !errors.Is(err, core.ErrNotAcquired) && !errors.Is(err, core.ErrInvalid) {
			return errors.Join(err, quick.Close())
		}
	}
}

func TestLeastPrivilege(t *testing.T) {
	servers := redistest.Start(t, 3, nil)
	redistest.NeedReal(t, servers)
	setUser(t, servers, user, patterns(prefix), needed, push)
	for _, n := range [][]*redistest.Server{servers[:1], servers} {
		for _, name := range tagged[:len(tagged)/len(n)] {
			// b hardly polls: it is woken.
			if err := broad(t, n, user, clients.Hardly, time.Minute, name); err != nil {
				t.Errorf("%d nodes, name %q: %v", len(n), name, err)
			}
		}
	}
	clients.NothingDenied(t, servers)
}

func TestWithoutTheRightToPush(t *testing.T) {
	servers := redistest.Start(t, 1, nil)
	redistest.NeedReal(t, servers)
	for _, rights := range [][]string{nil, {"+publish"}, {"+subscribe", "+unsubscribe"}} {
		setUser(t, servers, user, patterns(prefix), needed, rights)
		for _, name := range tagged[:6] {
			if err := broad(t, servers, user, 20*time.Millisecond, time.Minute, name); err != nil {
				t.Errorf("with %q, name %q: %v", rights, name, err)
			}
		}
	}
}

// Each right is needed: without it something fails, and not as "held by others". There is a
// user for each, since some waiters are refused until their time is over.
func TestEachRightIsNeeded(t *testing.T) {
	t.Parallel()
	servers := redistest.Start(t, 1, nil)
	redistest.NeedReal(t, servers)
	without := func(what, name string, check func(t *testing.T, err error), rules ...[]string) {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			setUser(t, servers, "without"+what, rules...)
			err := broad(t, servers, "without"+what, 20*time.Millisecond, 15*time.Second, name)
			if err == nil {
				t.Fatalf("all goes well without %s", what)
			}
			check(t, err)
		})
	}
	for i, right := range needed {
		without(right, "{tag}"+right, func(t *testing.T, err error) {
			if !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "not extended") &&
				!strings.Contains(err.Error(), "ACL failure") && !strings.Contains(err.Error(), "can't run this command") {
				t.Errorf("without %s: got %v, want the server's refusal", right, err)
			}
		}, patterns(prefix), slices.Delete(slices.Clone(needed), i, i+1), push)
	}
	names := map[string]string{"~app:*": "{tag}", "~{app:*": "plain", "~{*}:app:*": "a}b"}
	for i, p := range patterns(prefix)[:3] {
		without(p, names[p], func(*testing.T, error) {}, slices.Delete(patterns(prefix), i, i+1), needed, push)
	}
}

// The restart guard asks for the server's uptime. Without the right to, the node grants
// nothing and says so; with it, the guard is over when the server has been up that long.
func TestRightForTheRestartGuard(t *testing.T) {
	t.Parallel()
	servers := redistest.Start(t, 1, nil)
	redistest.NeedReal(t, servers)
	setUser(t, servers, user, patterns(prefix), needed, push)
	with := func(guard time.Duration) *clients.Client {
		return login(t, servers, user, &core.Options{KeyPrefix: prefix, Expiry: 7 * time.Second, MinValidity: 3 * time.Second, RestartGuard: guard})
	}
	c := with(7 * time.Second)
	attempts := map[string]func(context.Context) (*core.Lease, error){
		"Lock": c.Mutex("m").Lock, "TryLock": c.Mutex("m").TryLock,
		"RWMutex.TryLock": c.RWMutex("rw").TryLock, "RLock": c.RWMutex("rw").RLock, "TryRLock": c.RWMutex("rw").TryRLock,
		"Acquire": c.Semaphore("s", 2).Acquire, "TryAcquire": c.Semaphore("s", 2).TryAcquire,
	}
	fails := func(what string, err error, text string) {
		t.Helper()
		var node *core.NodeError
		if !errors.As(err, &node) || errors.Is(err, core.ErrNotAcquired) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want the node's error with %q", what, err, text)
		}
	}
	for what, try := range attempts {
		l, err := try(t.Context())
		if err == nil {
			clients.Release(t, l)
		}
		fails(what+" without +info", err, "the restart guard needs INFO, which this server hides")
	}

	setUser(t, servers, user, patterns(prefix), needed, push, guard)
	_, err := with(8760 * time.Hour).Mutex("other").Lock(t.Context())
	fails("with +info, a young server", err, "GUARDED")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		l, err := c.Mutex("m").TryLock(t.Context())
		if err == nil {
			clients.Release(t, l)
			break
		}
		fails("with +info", err, "GUARDED")
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("not granted after a minute, last %v", err)
		}
	}
	for what, try := range attempts {
		l, err := try(t.Context())
		if err != nil {
			t.Errorf("%s with +info: %v", what, err)
			continue
		}
		clients.Release(t, l)
	}
}

func TestLeastPrivilegeOnACluster(t *testing.T) {
	servers := clients.Cluster(t)
	redistest.NeedReal(t, servers)
	setUser(t, servers, user, patterns(prefix), needed, push, cluster)
	connect := func() *redlatch.Provider {
		c := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: redistest.Addrs(servers), Username: user, Password: password, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		t.Cleanup(func() { c.Close() })
		p, err := redlatch.New(clients.Patient(opts(clients.Hardly)), goredis.New(c))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	a, b := connect(), connect()
	site := clients.At(redistest.Addrs(servers)...)
	for _, name := range tagged {
		if err := everything(t, site, a, b, prefix, name, time.Minute); err != nil {
			t.Errorf("name %q: %v", name, err)
		}
	}
	clients.NothingDenied(t, servers)
}

// The document says what the tests use.
func TestACLDocument(t *testing.T) {
	doc := clients.ACLDocument(t)
	_, rest, _ := strings.Cut(doc, "```\n")
	line, _, _ := strings.Cut(rest, "```")
	got := strings.Fields(line)
	want := slices.Concat([]string{"ACL", "SETUSER", user, "reset", "on", ">" + password}, patterns(prefix), needed, push)
	if !slices.Equal(got, want) {
		t.Errorf("docs/acl.md: got %q, want %q", got, want)
	}
	for _, right := range slices.Concat(cluster, guard) {
		if !strings.Contains(doc, strings.ReplaceAll(right, "|", `\|`)) {
			t.Errorf("docs/acl.md does not name %s", right)
		}
	}
}
