// Package conformance tests a [core.Scripter], the adapter between redlatch and a
// Redis client, against real servers. An adapter that passes can be trusted with
// locks; the author of one needs to know nothing else of redlatch's insides.
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.Addrs(t), func(t *testing.T, addr string) core.Scripter {
//			client := someclient.New(addr)
//			t.Cleanup(func() { client.Close() })
//			return myadapter.New(client)
//		}, nil)
//	}
//
// The cases are subtests with stable names. Those under Scripter test the contract
// of [core.Scripter] and, where it is implemented, [core.Subscriber]. Those under
// Mutex, RWMutex and Semaphore test that the locks keep their promises through
// the adapter. Many of them put a TCP proxy between the client and the server that
// cuts, stalls, delays and loses, and check that it saw the traffic.
//
// A case that fails says what it got, what it wanted, and the rule of the contract
// that this breaks. Each case has keys, a client and a watchdog of its own and
// runs in parallel with others. It fails if it leaves a goroutine behind, once
// dial's clean-ups have run, or a key other than a lock's meta and probe, which
// end by their TTL.
//
// Everything that the suite does on a server it does with scripts, through the
// Scripter. They use SET, GET, DEL, INCR, PEXPIRE, PTTL, LPUSH, SCAN, PUBLISH and
// what the locks use.
package conformance
