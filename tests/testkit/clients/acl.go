package clients

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
)

// Prefix is the key prefix of the user that docs/acl.md describes.
const Prefix = "app:"

// ACLDocument returns the text of docs/acl.md, which stands in the root of the repository.
func ACLDocument(tb testing.TB) string {
	tb.Helper()
	const name = "docs/acl.md"
	for dir := ".."; len(dir) < 20; dir += "/.." {
		if doc, err := os.ReadFile(dir + "/" + name); err == nil {
			return string(doc)
		}
	}
	tb.Fatalf("there is no %s in any folder above this test's", name)
	return ""
}

// Limit makes the user that docs/acl.md describes on the servers, and returns its name
// and password.
func Limit(tb testing.TB, servers []*redistest.Server) (user redis.Options) {
	tb.Helper()
	_, rule, ok := strings.Cut(ACLDocument(tb), "\nACL SETUSER ")
	rule, _, fenced := strings.Cut(rule, "\n```")
	if !ok || !fenced {
		tb.Fatal("docs/acl.md has no ACL SETUSER in a block of code")
	}
	args := []any{"ACL", "SETUSER"}
	for _, field := range strings.Fields(rule) {
		args = append(args, field)
		if password, ok := strings.CutPrefix(field, ">"); ok {
			user = redis.Options{Username: args[2].(string), Password: password}
		}
	}
	// What go-redis asks for itself, and goes on without, is not to be in the log of what is denied.
	user.DisableIdentity, user.MaintNotificationsConfig = true, quiet
	ctx := context.WithoutCancel(tb.Context())
	for i, c := range At(redistest.Addrs(servers)...).Plain(tb) {
		if err := c.Do(ctx, args...).Err(); err != nil {
			tb.Fatalf("%v: %v", args, err)
		}
		limited := user
		limited.Addr = servers[i].Addr()
		l := redis.NewClient(&limited)
		err := l.Set(ctx, "other", "", 0).Err()
		l.Close()
		if !redis.HasErrorPrefix(err, "NOPERM") {
			tb.Fatalf("got %v from a key that the user has no right to, want NOPERM", err)
		}
		if n := len(denied(tb, c)); n != 1 {
			tb.Fatalf("got %d entries in the log of what was denied, want that one", n)
		}
		if err := c.Do(ctx, "ACL", "LOG", "RESET").Err(); err != nil {
			tb.Fatal(err)
		}
	}
	return user
}

// NothingDenied fails the test if any of the servers has denied something.
func NothingDenied(tb testing.TB, servers []*redistest.Server) {
	tb.Helper()
	for i, c := range At(redistest.Addrs(servers)...).Plain(tb) {
		if log := denied(tb, c); len(log) != 0 {
			tb.Errorf("server %d has denied something: %v", i, log)
		}
	}
}

func denied(tb testing.TB, c *redis.Client) []any {
	tb.Helper()
	log, err := c.Do(context.WithoutCancel(tb.Context()), "ACL", "LOG").Slice()
	if err != nil {
		tb.Fatal(err)
	}
	return log
}
