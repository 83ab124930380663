// Package chaos lets worker processes contend for locks on real servers while servers,
// network and workers are broken at random, and judges what the locks let them do.
//
// A [Run] is made of rounds. Each round starts its own servers (3 and 5 in turn, Redis
// 7, Redis 8 and Valkey mixed, with persistence), and worker processes that take mutexes,
// reader-writer locks, semaphores and several locks at once, each process with one of the
// three adapters. Between each worker and each server stands a proxy of its own. Then the
// faults begin, drawn from one printed seed; then all is mended, and after a while without
// faults the workers are told to end.
//
// # What is broken
//
//   - servers: paused, killed and restarted with their data, one at a time and several at
//     once; out of memory, unable to save, without replicas, demoted, with another
//     password, busy with a script; they end connections and lose single keys;
//   - links: cut, refused, silent in either direction or both, slow, a reply dropped after
//     the server has run the script, requests delivered twice;
//   - workers: killed and started anew, stopped for longer than their leases last.
//
// Killed servers come back with every write that they have answered, no clock is
// stepped, and no key vanishes that a promise depends on: the assumptions of the locks
// hold, so nothing may go wrong.
//
// # What is judged
//
//   - The claims of all workers on one clock, by package checker: exclusion, limits, slots,
//     tokens, and in the calm at the end that waiters are served.
//   - A register per name, guarded by the fencing token: workers read it, think, and
//     write, even when they have lost the lock meanwhile. No accepted write may undo
//     another one, and no write of a live claim may be refused.
//   - What each call returns: an error of the kinds that the library documents, a lease
//     whose context, channel and release agree on whether it was lost.
//   - What is left: on the servers nothing but meta and probe keys with a TTL, in the
//     workers no goroutine of the library.
//
// # The clock
//
// All times are the machine's monotonic clock, which its processes share, taken by
// the workers themselves: the grant after Lock has returned, the end before Release is
// called. Each claim is therefore recorded as no longer than it was, and an overlap that
// is found has happened. A claim of a killed process ends just before the signal, or at
// the last deadline that the process has told, whichever is earlier. On systems other than
// Linux it is the wall clock, which must not be stepped during a run.
package chaos
