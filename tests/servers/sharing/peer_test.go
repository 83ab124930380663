package sharing_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/keys"
	"github.com/redlatch/redlatch/internal/proxy"
	"github.com/redlatch/redlatch/tests/testkit/clients"
)

// The failures that peers are known for, by the numbers under which the project lists
// them. Others of them are in package virtual.

// Peer 12: readers are counted, and the clean-up of one that was refused takes away
// somebody else's hold.
func TestPeer12RefusedReaderTakesNothingAway(t *testing.T) {
	s, proxies := clients.Three(t).Proxied(t)
	name := clients.Name(t)
	holder := clients.Take(t, clients.Three(t).Connect(t, nil).RWMutex(name).RLock)
	clumsy := s.Connect(t, nil).RWMutex(name)
	writer := clients.Three(t).Connect(t, nil).RWMutex(name)

	// Its attempts reach all nodes, two of which do not answer in time.
	clients.Release(t, clients.Take(t, clumsy.RLock))
	before := make([]proxy.Stats, len(proxies))
	for i, p := range proxies {
		before[i] = p.Stats()
		if i > 0 {
			p.Stall(proxy.Replies)
		}
	}
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if l, err := clumsy.TryRLock(ctx); err == nil {
			t.Error("got a lease from a minority")
			clients.Release(t, l)
		}
		cancel()
	}
	for i, p := range proxies[1:] {
		if got := p.Stats(); got.Requests == before[i+1].Requests {
			t.Errorf("no attempt reached the stalled node %d", i+1)
		}
		p.Duplicate(true) // what undoes the attempts comes twice
		p.Resume()
	}
	for i, p := range proxies[1:] {
		twice(t, p, before[i+1].Duplicated)
	}
	// A reader's own release comes twice as well.
	own := clients.Take(t, clumsy.RLock)
	clients.Release(t, own)
	_ = own.Release(t.Context())
	s.Readers(t, name, 1)
	_, err := writer.TryLock(t.Context())
	refused(t, "a writer beside the first reader", err)
	if holder.Context().Err() != nil {
		t.Errorf("the first reader's lease ended: %v", context.Cause(holder.Context()))
	}
	clients.Release(t, holder)
	clients.Release(t, clients.Take(t, writer.Lock))
	s.Clean(t, name)
}

// twice waits until a request has come twice since the count was n.
func twice(t *testing.T, p *proxy.Proxy, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Await(ctx, func(s proxy.Stats) bool { return s.Duplicated > n }); err != nil {
		t.Error("nothing came twice: ", err)
	}
}

// Peer 12: the same with a writer that holds a majority, so that the reader gets a node,
// beside another reader, and is refused by the rest.
func TestPeer12ReaderRefusedByAWriterTakesNothingAway(t *testing.T) {
	s := clients.Three(t)
	name := clients.Name(t)
	readers := keys.Siblings(name, clients.RW+":readers")[0]
	first := s.Plain(t)[0]

	// The writer cannot reach the first node, where there is another reader.
	through, proxies := s.Proxied(t)
	proxies[0].Refuse()
	held := clients.Take(t, through.Connect(t, nil).RWMutex(name).Lock)
	if proxies[0].Stats().Refused == 0 {
		t.Error("the writer has not tried to reach the first node")
	}
	// It ends before those that are refused would: by count or by rank it is the first to go.
	another := redis.Z{Member: "another", Score: float64(time.Now().Add(25 * time.Second).UnixMilli())}
	if err := errors.Join(first.ZAdd(t.Context(), readers, another).Err(), first.PExpire(t.Context(), readers, time.Minute).Err()); err != nil {
		t.Fatal(err)
	}

	through, proxies = s.Proxied(t)
	clumsy := through.Connect(t, nil).RWMutex(name)
	_, err := clumsy.TryRLock(t.Context()) // makes the connections
	refused(t, "a reader beside a writer", err)
	for range 3 {
		before := proxies[0].Stats()
		proxies[0].Duplicate(true)
		_, err := clumsy.TryRLock(t.Context())
		refused(t, "a reader beside a writer", err)
		// The attempt, which is granted here, and what undoes it, each of them twice.
		twice(t, proxies[0], before.Duplicated+1)
		proxies[0].Duplicate(false)
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			got, err := first.ZRange(t.Context(), readers, 0, -1).Result()
			if err != nil {
				t.Fatal(err)
			}
			if slices.Equal(got, []string{"another"}) {
				break
			}
			if !slices.Contains(got, "another") || time.Now().After(deadline) {
				t.Fatalf("the first node has the readers %q, want the other one alone", got)
			}
		}
	}
	if held.Context().Err() != nil {
		t.Errorf("the writer's lease ended: %v", context.Cause(held.Context()))
	}
	clients.Release(t, held)
	if n, err := first.ZRem(t.Context(), readers, "another").Result(); err != nil || n != 1 {
		t.Errorf("removed %d entries of the other reader, %v, want 1", n, err)
	}
	s.Clean(t, name)
}

// Peer 14: with permits counted by majorities, three holders can each win two of three
// nodes for two permits.
func TestPeer14TwoPermitsOnThreeNodes(t *testing.T) {
	s := clients.Three(t)
	name := clients.Name(t)
	var held []*core.Lease
	for range 8 {
		l, err := s.Connect(t, nil).Semaphore(name, 2).TryAcquire(t.Context())
		if err == nil {
			held = append(held, l)
			continue
		}
		refused(t, "a third permit", err)
	}
	if len(held) != 2 {
		t.Errorf("got %d permits, want 2", len(held))
	}
	for _, l := range held {
		clients.Release(t, l)
	}
	s.Clean(t, name)

	// Three clients at one time, each of which reaches two of the nodes, another two.
	name = clients.Name(t)
	held = nil
	var nodes [3]*clients.Client
	var asked [3]*clients.Pending
	var all [3][]*proxy.Proxy
	for i := range nodes {
		through, proxies := s.Proxied(t)
		proxies[i].Refuse()
		nodes[i], all[i] = through.Connect(t, nil), proxies
		// It has a majority: its mutexes are held.
		clients.Release(t, clients.Take(t, nodes[i].Mutex(fmt.Sprint(name, ".", i)).Lock))
		if proxies[i].Stats().Refused == 0 {
			t.Errorf("client %d has not tried to reach node %d", i, i)
		}
	}
	refusals := all[0][0].Stats().Refused
	for i, c := range nodes {
		asked[i] = clients.Wait(t, c.Semaphore(name, 2).TryAcquire)
	}
	for i, p := range asked {
		l, err := p.Result()
		if err == nil {
			held = append(held, l)
		}
		var node *core.NodeError
		if i == 0 && (!errors.As(err, &node) || node.Node != 0 || errors.Is(err, core.ErrNotAcquired)) {
			t.Errorf("without the first node: got %v, want its failure", err)
		} else if i > 0 && err != nil {
			t.Errorf("client %d, which reaches the first node: %v", i, err)
		}
	}
	if all[0][0].Stats().Refused == refusals {
		t.Error("the client that cannot reach the first node has not tried to")
	}
	// When it can, it finds the permits held.
	all[0][0].Accept()
	if l, err := nodes[0].Semaphore(name, 2).TryAcquire(t.Context()); err == nil {
		held = append(held, l)
	} else {
		refused(t, "a third permit", err)
	}
	if len(held) != 2 {
		t.Errorf("got %d permits, want 2", len(held))
	}
	for _, l := range held {
		clients.Release(t, l)
	}

	// The first node decides: without it there are no permits, and that is an error.
	through, proxies := s.Proxied(t)
	c := through.Connect(t, nil)
	proxies[0].Refuse()
	_, err := c.Semaphore(name, 2).Acquire(t.Context())
	var node *core.NodeError
	if !errors.As(err, &node) || node.Node != 0 || errors.Is(err, core.ErrNotAcquired) {
		t.Errorf("without the first node: got %v, want its failure", err)
	}
	s.Clean(t, name)
}

// Peer 23: what a server says of itself surfaces as "not acquired".
func TestPeer23ServersErrors(t *testing.T) {
	server := redistest.Start(t, 1, &redistest.Config{Args: []string{"--enable-debug-command", "local"}})
	redistest.NeedReal(t, server)
	s := clients.At(redistest.Addrs(server)...)
	c := s.Connect(t, &core.Options{Expiry: 20 * time.Second, MinValidity: 10 * time.Second})
	admin := s.Plain(t)[0]
	do := func(args ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	attempts := map[string]func(context.Context) (*core.Lease, error){
		"Lock": c.Mutex("m").Lock, "TryLock": c.Mutex("m").TryLock,
		"RWMutex.Lock": c.RWMutex("rw").Lock, "RLock": c.RWMutex("rw").RLock, "TryRLock": c.RWMutex("rw").TryRLock,
		"Acquire": c.Semaphore("s", 2).Acquire, "TryAcquire": c.Semaphore("s", 2).TryAcquire,
	}
	fails := func(code string) {
		t.Helper()
		for what, try := range attempts {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			l, err := try(ctx)
			cancel()
			if err == nil {
				clients.Release(t, l)
			}
			var node *core.NodeError
			if !errors.As(err, &node) || !redis.HasErrorPrefix(node.Err, code) || errors.Is(err, core.ErrNotAcquired) {
				t.Errorf("%s: got %v, want the node's %s", what, err, code)
			}
		}
		// A replica may count permits.
		if _, err := c.Semaphore("s", 2).Available(t.Context()); err == nil && code != "READONLY" {
			t.Errorf("Available: got no error, want the node's %s", code)
		}
	}
	works := func() {
		t.Helper()
		for what, try := range attempts {
			l, err := try(t.Context())
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			do("SCRIPT", "FLUSH") // NOSCRIPT from whatever comes next
			clients.Release(t, l)
		}
	}
	works()
	do("REPLICAOF", "127.0.0.1", "1") // where nothing is
	fails("READONLY")
	do("CONFIG", "SET", "replica-serve-stale-data", "no")
	fails("MASTERDOWN")
	do("REPLICAOF", "NO", "ONE")
	works()

	// A server that loads for a while, and answers now and then.
	do("CONFIG", "SET", "rdbcompression", "no")
	for i := range 1000 {
		do("SET", fmt.Sprint("ballast", i), string(make([]byte, 1024)))
	}
	do("CONFIG", "SET", "key-load-delay", "20000") // us for each key
	do("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
	reloaded := make(chan error, 1)
	go func() { reloaded <- s.Plain(t)[0].Do(context.WithoutCancel(t.Context()), "DEBUG", "RELOAD").Err() }()
	for !redis.HasErrorPrefix(admin.Get(t.Context(), "x").Err(), "LOADING") {
		time.Sleep(time.Millisecond)
	}
	fails("LOADING")
	do("CONFIG", "SET", "key-load-delay", "0")
	for redis.HasErrorPrefix(admin.Get(t.Context(), "x").Err(), "LOADING") {
		time.Sleep(time.Millisecond)
	}
	<-reloaded
	works()
}
