package rueidis_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	client "github.com/redis/rueidis"

	"github.com/redlatch/redlatch/adapters/internal/adaptertest"
	"github.com/redlatch/redlatch/adapters/rueidis"
	"github.com/redlatch/redlatch/core"
)

// The client configurations that change what the adapter sees.
var configurations = []adaptertest.Configuration{
	{Name: "default", Dial: dial(func(o *client.ClientOption) {})},
	{Name: "no auto-pipelining", Dial: dial(func(o *client.ClientOption) { o.DisableAutoPipelining = true })},
	{Name: "always pipelining", Dial: dial(func(o *client.ClientOption) { o.AlwaysPipelining, o.ConnWriteTimeout = true, 0 })},
	{Name: "no caching", Dial: dial(func(o *client.ClientOption) { o.DisableCache = true })},
	{Name: "RESP2", Dial: dial(func(o *client.ClientOption) { o.DisableCache, o.AlwaysRESP2 = true, true })},
}

func dial(change func(o *client.ClientOption)) func(testing.TB, string) (adaptertest.Node, func()) {
	return func(t testing.TB, addr string) (adaptertest.Node, func()) {
		// ForceSingleClient: with it a client comes back although nobody listens.
		o := client.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true, ConnWriteTimeout: adaptertest.Timeout}
		o.Dialer.Timeout = adaptertest.Timeout
		change(&o)
		if os.Getenv("REDLATCH_KIND") == "embedded" {
			o.DisableCache = true // miniredis has no client-side caching
		}
		c, _ := client.NewClient(o)
		s := rueidis.New(c)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		return s, c.Close
	}
}

// A wrapper is a client as hooks and tracing make them.
type wrapper struct{ client.Client }

func TestCheck(t *testing.T) {
	c, _ := client.NewClient(client.ClientOption{InitAddress: []string{"127.0.0.1:1"}, ForceSingleClient: true})
	t.Cleanup(c.Close)
	for _, tt := range []struct {
		name   string
		client client.Client
		want   string // in the error; "" for none
	}{
		{"nil", nil, "nil"},
		{"typed nil", (*wrapper)(nil), "nil"},
		{"wrapped", &wrapper{c}, ""},
		{"standalone", c, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := rueidis.New(tt.client).Check()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tt.want != "" && (!errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an ErrInvalid that says %q", err, tt.want)
			}
		})
	}
}

var suite = adaptertest.Suite{Configurations: configurations, IsReply: isReply, IsClosed: isClosed}

func TestAdapter(t *testing.T) { suite.Run(t) }

func BenchmarkEvalSha(b *testing.B) { suite.BenchmarkEvalSha(b) }

// isReply says whether err is the client's type for an error reply.
func isReply(err error) bool {
	var reply *client.RedisError
	return errors.As(err, &reply)
}

func isClosed(err error) bool { return errors.Is(err, client.ErrClosing) }
