// Package redistest starts real Redis and Valkey servers for tests, breaks them
// on demand, and says which kind of servers it used.
//
//	func TestLock(t *testing.T) {
//		servers := redistest.Start(t, 3, nil)
//		redistest.NeedFaults(t, servers)
//		// ... connect to servers[0].Addr() and so on
//		redistest.Do(t, servers[0].Pause)
//	}
//
// # Kinds of servers
//
// A [Kind] is tried in this order, and the first that can serve is taken:
//
//   - [Given]: addresses in REDLATCH_ADDRS, comma separated. They cannot be
//     paused, killed or restarted.
//   - [Containers]: local images in a container engine, through
//     testcontainers-go. A missing image is built from Debian packages; no
//     registry is ever asked.
//   - [Process]: child processes of the redis-server and valkey-server that are
//     installed.
//   - [Embedded]: miniredis inside this process, when nothing else is there.
//     Never chosen by itself where CI is set.
//
// All servers listen on loopback only, on ports that the system gave.
//
// # Environment
//
//   - REDLATCH_SERVERS: addrs, containers, process or embedded: this kind and no
//     other. If it cannot serve, that is an error, not a reason to fall back.
//   - REDLATCH_REQUIRED: the same, for CI: the kind without which the run fails.
//   - REDLATCH_ADDRS: the addresses of [Given].
//   - REDLATCH_IMAGE: the [Image] where the test names none. Default: redis-8.0
//     for containers, whatever is installed for processes.
//   - REDLATCH_ENGINE, REDLATCH_DEBIAN_MIRROR, REDLATCH_DEBIAN_KEYRING: how
//     images are built, where the defaults do not fit; see images.sh.
//   - REDLATCH_REPORT: a file to which every test binary appends what it used and
//     what it left out; the command redistest sets it and prints the sum.
//
// # Outside tests
//
// [Open], [OpenCluster] and [OpenSentinel] do without a testing.TB. The command
// cmd/redistest starts servers, runs a command with their addresses in
// REDLATCH_ADDRS, and stops them.
package redistest
