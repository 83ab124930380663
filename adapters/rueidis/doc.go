// Package rueidis binds a rueidis client to redlatch.
//
// The client's module is github.com/redis/rueidis. The module once published as
// github.com/rueian/rueidis moved there, and the old path is no longer served.
//
//	client, err := rueidis.NewClient(rueidis.ClientOption{
//		InitAddress:      []string{"localhost:6379"},
//		AlwaysPipelining: true, // a call ends at its context's deadline
//	})
//	node := adapter.New(client) // this package, imported under another name
//
// # Deployments
//
//   - Standalone, Sentinel (set Sentinel.TopologyRefreshInterval: without it a
//     missed event leaves the client on the old master) and Cluster.
//   - Not with ReplicaOnly: replicas refuse to write. A client does not show its
//     options, so Check cannot reject it.
//   - SendToReplicas must return false for EVALSHA and EVAL, as
//     cmd.IsReadOnly() does.
//
// # Timeouts
//
// Set AlwaysPipelining, with which a call on a connection ends with its context, or a
// ConnWriteTimeout of a few seconds. Otherwise rueidis does not pipeline a call that
// has a deadline and an idle connection, and notices a cancellation of it only at
// that deadline or after ConnWriteTimeout, by default 10 s; with
// DisableAutoPipelining that goes for every call. A call that has to connect takes
// up to Dialer.Timeout.
//
// # Broken connections
//
// rueidis sends only read-only commands twice when a connection breaks, and no script
// is one. A Scripter sends such a call again, over up to four connections of the
// blocking pool, which counts for BlockingPoolSize; redlatch's scripts are safe to run twice.
//
// It does the same where a connection answers READONLY, which behind an address that has
// moved goes on for ever: rueidis keeps its connections to the old primary. Locks are
// had meanwhile, at the price of a new connection for each call, but the application's own
// writes fail. Set ConnLifetime (10 s, say), which brings the shared connections over to the
// new primary.
//
// A call on a closed client is core.ErrClosed, unless the client has ever failed to connect:
// rueidis then returns the last such failure, also once it is closed.
//
// Client-side caching may be on or off; scripts do not use it. Hooks see all words of a
// command as strings, on its first use the source of a script among them. Errors name
// the addresses of Client.Nodes.
//
// # Subscriptions
//
// Each subscription takes one dedicated connection, which counts for
// BlockingPoolSize; in RESP2 the client makes a second one for it. When none is
// left, Subscribe waits for one without regard to its context. Silent for five
// seconds, a subscription is given up: it is asked for again every two seconds,
// which needs no permission beyond SUBSCRIBE.
package rueidis
