package states_test

import (
	"context"
	"os"
	"strings"
	"testing"

	client "github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/tests/leaks"
	"github.com/redlatch/redlatch/tests/states"
)

func TestMain(m *testing.M) { os.Exit(leaks.Check(redistest.Main(m))) }

// TestStates has a server of each image go through all states, and sees what it answers to
// a script that writes, and that its data stays.
func TestStates(t *testing.T) {
	t.Parallel()
	write := client.NewScript(`redis.call('SET', KEYS[1], 'x') return 1`)
	for _, image := range redistest.Images(t) {
		t.Run(string(image), func(t *testing.T) {
			t.Parallel()
			servers := redistest.Start(t, 1, &redistest.Config{Image: image, AppendOnly: true, Args: states.Args})
			redistest.NeedReal(t, servers)
			redistest.NeedFaults(t, servers)
			addr, ctx := servers[0].Addr(), t.Context()
			do := func(f func(*client.Client) error) error { return states.Do(addr, "", f) }
			writes := func(c *client.Client) error { return write.Run(ctx, c, []string{"written"}).Err() }
			if err := do(func(c *client.Client) error { return c.Set(ctx, "kept", "1", 0).Err() }); err != nil {
				t.Fatal(err)
			}
			for _, st := range states.All {
				if err := st.Begin(ctx, addr); err != nil {
					t.Fatalf("%s: %v", st.Name, err)
				}
				if err := do(writes); err == nil || !strings.HasPrefix(err.Error(), st.Code+" ") {
					t.Errorf("%s: got %v, want %s", st.Name, err, st.Code)
				}
				if err := st.End(context.WithoutCancel(ctx), addr); err != nil {
					t.Fatalf("the end of %s: %v", st.Name, err)
				}
				if err := do(writes); err != nil {
					t.Errorf("after %s: got %v", st.Name, err)
				}
			}
			if err := do(func(c *client.Client) error { return c.Get(ctx, "kept").Err() }); err != nil {
				t.Errorf("got %v, want the data kept", err)
			}
		})
	}
}
