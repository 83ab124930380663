// Command worker takes locks of all kinds in turn with other workers, of other versions
// of this library too, and fails if it is not alone where it must be.
//
// It is built from the tree and from the last tag, each with the library beside it, so
// its flags and what it stores on the server may not change.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlatch/redlatch/adapters/goredis"
	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/redlock"
	"github.com/redlatch/redlatch/semaphore"
)

var (
	addr   = flag.String("addr", "", "host:port of the server")
	label  = flag.String("as", "", "which version this is")
	rounds = flag.Int("rounds", 20, "how often each lock is taken")
)

func main() {
	flag.Parse()
	client := redis.NewClient(&redis.Options{Addr: *addr, ContextTimeoutEnabled: true})
	defer client.Close()
	if err := run(client); err != nil {
		log.Fatalf("%s: %v", *label, err)
	}
}

// run says that it is ready, waits for the start, and takes all locks at once.
func run(client *redis.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	nodes := []core.Scripter{goredis.New(client)}
	mutex, err1 := redlock.NewMutex(nodes, "shared-mutex", nil)
	rw, err2 := redlock.NewRWMutex(nodes, "shared-rw", nil)
	permits, err3 := semaphore.New(nodes[0], "shared-permits", 2, nil)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if err := client.RPush(ctx, "ready", *label).Err(); err != nil {
		return err
	}
	if err := client.BLPop(ctx, time.Minute, "start").Err(); err != nil {
		return err
	}

	w := worker{client}
	var all sync.WaitGroup
	errs := make(chan error, 5)
	for _, turn := range []struct {
		lock core.Locker
		do   func(context.Context, *core.Lease) error
	}{
		{mutex, func(ctx context.Context, l *core.Lease) error { return w.alone(ctx, "mutex", l) }},
		{rw, func(ctx context.Context, l *core.Lease) error {
			return errors.Join(w.nobody(ctx, "readers"), w.alone(ctx, "writer", l))
		}},
		{rw.RLocker(), w.reads},
		{permits.Locker(), w.prints}, {permits.Locker(), w.prints},
	} {
		all.Go(func() {
			for range *rounds {
				if err := take(ctx, turn.lock, turn.do); err != nil {
					errs <- fmt.Errorf("%s: %w", turn.lock.Name(), err)
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	var failed error
	for err := range errs {
		failed = errors.Join(failed, err)
	}
	return failed
}

func take(ctx context.Context, lock core.Locker, do func(context.Context, *core.Lease) error) error {
	lease, err := lock.Lock(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(lease.Context(), lease), lease.Release(ctx))
}

type worker struct{ client *redis.Client }

// alone enters a room that nobody else may be in, with a token higher than all before.
func (w worker) alone(ctx context.Context, room string, lease *core.Lease) error {
	if err := w.enter(ctx, room); err != nil {
		return err
	}
	last, err := w.client.Get(ctx, "token-"+room).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if lease.Token() <= last {
		return fmt.Errorf("token %d after %d", lease.Token(), last)
	}
	return errors.Join(w.client.Set(ctx, "token-"+room, lease.Token(), 0).Err(), w.leave(ctx, room))
}

// reads is in the reading room with others, but with no writer.
func (w worker) reads(ctx context.Context, _ *core.Lease) error {
	if err := w.client.Incr(ctx, "readers").Err(); err != nil {
		return err
	}
	err := w.nobody(ctx, "inside-writer")
	return errors.Join(err, w.client.RPush(ctx, "log-readers", *label).Err(), w.client.Decr(ctx, "readers").Err())
}

// prints is at one of two printers, which is its own.
func (w worker) prints(ctx context.Context, lease *core.Lease) error {
	if lease.Slot() < 0 || lease.Slot() > 1 {
		return fmt.Errorf("slot %d of 2", lease.Slot())
	}
	room := fmt.Sprint("printer-", lease.Slot())
	if err := w.enter(ctx, room); err != nil {
		return err
	}
	return w.leave(ctx, room)
}

func (w worker) enter(ctx context.Context, room string) error {
	ok, err := w.client.SetNX(ctx, "inside-"+room, *label, 0).Result()
	if err == nil && !ok {
		err = fmt.Errorf("%s is in %s, too", w.client.Get(ctx, "inside-"+room).Val(), room)
	}
	return err
}

func (w worker) leave(ctx context.Context, room string) error {
	return errors.Join(w.client.RPush(ctx, "log-"+room, *label).Err(), w.client.Del(ctx, "inside-"+room).Err())
}

func (w worker) nobody(ctx context.Context, room string) error {
	n, err := w.client.Get(ctx, room).Result()
	if errors.Is(err, redis.Nil) || err == nil && n == "0" {
		return nil
	}
	return errors.Join(err, fmt.Errorf("%s: %s", room, n))
}
