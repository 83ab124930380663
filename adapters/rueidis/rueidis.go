package rueidis

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/redlatch/redlatch/core"
)

// A Scripter runs scripts on the deployment that a rueidis client is connected
// to. It is safe for concurrent use.
type Scripter struct{ client rueidis.Client }

var (
	_ core.Scripter   = (*Scripter)(nil)
	_ core.Subscriber = (*Scripter)(nil)
	_ core.Checker    = (*Scripter)(nil)
	_ core.Addresser  = (*Scripter)(nil)
)

// New returns a Scripter on client, which stays the caller's: the Scripter never
// closes it. Check says whether the client can serve.
func New(client rueidis.Client) *Scripter { return &Scripter{client: client} }

// EvalSha implements [core.Scripter].
func (s *Scripter) EvalSha(ctx context.Context, sha1 string, keys, args []string) ([]int64, error) {
	return s.run(ctx, "EVALSHA", sha1, keys, args)
}

// Eval implements [core.Scripter].
func (s *Scripter) Eval(ctx context.Context, source string, keys, args []string) ([]int64, error) {
	return s.run(ctx, "EVAL", source, keys, args)
}

// Check implements [core.Checker].
func (s *Scripter) Check() error {
	if v := reflect.ValueOf(s.client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("%w: rueidis: the client is nil", core.ErrInvalid)
	}
	return nil
}

// run sends one command, and reads the reply.
func (s *Scripter) run(ctx context.Context, command, script string, keys, args []string) ([]int64, error) {
	result := s.send(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(command, script, strconv.Itoa(len(keys))).Keys(keys...).Args(args...).Build()
	})
	reply, err := result.ToMessage()
	if err != nil {
		return nil, replyError(&reply, err)
	}
	return integers(&reply)
}

// replyError marks a missing script, a missing password, a closed client and a nil reply,
// and puts back the code that the client has cut off. All else stays as it is.
func replyError(reply *rueidis.RedisMessage, err error) error {
	var refused *rueidis.RedisError
	switch {
	case errors.Is(err, rueidis.ErrClosing):
		return fmt.Errorf("%w: %w", core.ErrClosed, err)
	case !errors.As(err, &refused):
		return err
	case refused.IsNil():
		return errors.New("redlatch: rueidis: the script answered nil, want an array of integers")
	}
	if text, _ := reply.ToString(); text == "ERR "+refused.Error() {
		err = fmt.Errorf("ERR %w", err)
	} else if refused.IsNoScript() {
		return fmt.Errorf("%w: %w", core.ErrNoScript, err)
	}
	if strings.HasPrefix(err.Error(), "ERR Protocol error: unauthenticated ") {
		// Without a password a server does not read a command of this length.
		return fmt.Errorf("NOAUTH Authentication required: %w", err)
	}
	return err
}

// integers takes only what RESP sent as an array of integers. The client's own
// conversions turn nil into 0 and parse strings.
func integers(reply *rueidis.RedisMessage) ([]int64, error) {
	if !reply.IsArray() {
		return nil, fmt.Errorf("redlatch: rueidis: the script answered %s, want an array of integers", kind(reply))
	}
	array, err := reply.ToArray()
	if err != nil {
		return nil, err
	}
	ints := make([]int64, len(array))
	for i := range array {
		if !array[i].IsInt64() {
			return nil, fmt.Errorf("redlatch: rueidis: the script answered %s as element %d, want an integer", kind(&array[i]), i)
		}
		if ints[i], err = array[i].AsInt64(); err != nil {
			return nil, err
		}
	}
	return ints, nil
}

// kind names a reply that is not what it should be.
func kind(m *rueidis.RedisMessage) string {
	switch {
	case m.IsNil():
		return "nil"
	case m.Error() != nil:
		return "an error"
	case m.IsArray():
		return "an array"
	case m.IsString():
		return "a string"
	case m.IsInt64():
		return "an integer"
	case m.IsMap():
		return "a map"
	}
	return "another type"
}
