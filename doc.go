// Package redlatch gives Go programs distributed mutexes, reader-writer locks and
// counting semaphores on the Redis they already run.
//
// [New] takes the nodes, each bound by the adapter of a client; the [Provider] makes the
// locks; acquiring one returns a [core.Lease], which is extended in the background until
// it is released, whose context ends the moment exclusivity can no longer be guaranteed,
// and which carries a fencing token.
package redlatch
