// Package checker judges a history of lock claims: did the locks do what they
// promise, as seen by the clients that used them?
//
// Record what your clients do in a [History], then ask for the verdict:
//
//	h := checker.NewHistory()
//
//	a := h.Ask(checker.Request{Name: "mutex:orders", Client: "worker-1", Kind: checker.Exclusive})
//	lease, err := mutex.Lock(ctx)
//	if err != nil {
//		a.GaveUp()
//		return err
//	}
//	a.Granted(lease)
//	... the work ...
//	a.Released() // just before Release
//	lease.Release(ctx)
//
//	if err := h.Check(nil); err != nil { // each violation, with both claims
//		log.Fatal(err)
//	}
//
// # What a claim is
//
// A client claims a lock from the return of Lock to the earliest of three
// moments: Release being called, the lease's context ending, and the last
// deadline ([Claim.ValidUntil]) that the lease had. That is the time in which a
// client acts on the belief that it holds the lock, and it lies within the time
// in which the servers keep the lock for it. A claim without any of these
// three moments lasts for ever.
//
// All times are of one observer's clock. Within a process that is [time.Now],
// whose monotonic part makes it exact. Claims gathered from several processes
// of one machine (send [Claim] as JSON, then [History.Add]) are as exact as
// that machine's wall clock is steady.
//
// # What is judged
//
//   - exclusion: two exclusive claims of one name never overlap, and an
//     exclusive one never overlaps a shared one;
//   - capacity: the weights of the permits held at one moment never exceed the
//     limit, and no two of them have the same slot;
//   - tokens: fencing tokens of one name are unique and increase in real-time
//     order;
//   - progress, if [Rules] gives bounds: nobody waits longer than MaxWait, and
//     a lock is never free for longer than MaxIdle while somebody waits;
//   - fairness, if [Rules] asks for it: nobody is overtaken more often than
//     stated by those who asked later.
//
// The checker knows nothing of Redis and of redlatch: any lock whose use can be
// recorded can be judged.
package checker
