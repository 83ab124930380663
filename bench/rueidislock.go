package bench

import (
	"context"
	"time"

	"github.com/redis/rueidis/rueidislock"
)

// tryNext is the TryNextAfter of rueidislock.
const tryNext = 5 * time.Second

type rueidislockClient struct{ locker rueidislock.Locker }

// dialRueidislock makes clients with one key a lock, as all others have on one node,
// instead of three, and without the server's notices about a client's own keys, as the
// library's documentation advises; both are the cheaper way. An attempt may take tryNext
// instead of 20 ms: on a busy machine one does, and where nobody else wants the lock no
// notice comes to end the wait that follows.
func dialRueidislock(addrs []string, count *Counter) (Client, error) {
	l, err := rueidislock.NewLocker(rueidislock.LockerOption{
		ClientOption:   rueidisOption(addrs[0], count),
		KeyMajority:    1,
		NoLoopTracking: true,
		TryNextAfter:   tryNext,
	})
	if err != nil {
		return nil, err
	}
	return &rueidislockClient{l}, nil
}

func (c *rueidislockClient) Hold(ctx context.Context, name string, fn func()) error {
	_, release, err := c.locker.WithContext(ctx, name)
	if err != nil {
		return err
	}
	if fn != nil {
		fn()
	}
	release() // returns when the key is deleted
	return nil
}

func (c *rueidislockClient) Close() error { c.locker.Close(); return nil }

func (c *rueidislockClient) keep(ctx context.Context, name string) (func(context.Context) error, error) {
	held, release, err := c.locker.WithContext(ctx, name)
	if err != nil {
		return nil, err
	}
	return func(context.Context) error {
		if held.Err() != nil {
			return errLost
		}
		release()
		return nil
	}, nil
}
