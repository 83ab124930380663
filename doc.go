// Package redlatch gives Go programs distributed mutexes, reader-writer locks and
// counting semaphores on the Redis they already run.
//
// [New] takes the nodes, each bound by the adapter of a client; the [Provider] makes the
// locks; [Do] calls a function while one is held:
//
//	locks, err := redlatch.New(nil, goredis.New(client))
//	...
//	err = redlatch.Do(ctx, locks.Mutex("report"), func(ctx context.Context) error {
//		lease, _ := redlatch.FromContext(ctx)
//		return save(ctx, lease.Token())
//	})
//
// Acquiring a lock returns a [Lease], which is extended in the background until it is
// released, whose context ends the moment exclusivity can no longer be guaranteed, and which
// carries a fencing token.
//
// A program needs this package and an adapter: adapters/goredis, adapters/redigo or
// adapters/rueidis. Many names are aliases of what the packages core, redlock and semaphore
// have, where the methods are described. Who writes an adapter or a [Locker] of its own
// names package core.
package redlatch
