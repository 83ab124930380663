// Package goredis binds a go-redis v9 client to redlatch.
//
//	node := goredis.New(redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true}))
//
// # Deployments
//
//   - Standalone: redis.NewClient.
//   - Sentinel: redis.NewFailoverClient and redis.NewFailoverClusterClient, the
//     latter also with RouteByLatency or RouteRandomly: scripts go to the master.
//     ReplicaOnly cannot serve: replicas answer READONLY.
//   - Cluster: redis.NewClusterClient. Check rejects ReadOnly, RouteByLatency and
//     RouteRandomly: they put connections into READONLY mode, in which a node that
//     a failover has made a replica runs a script on its old data instead of
//     redirecting it. Use a second client for reads from replicas.
//   - Not redis.NewRing: Check rejects it. A Ring moves a name to another shard as
//     soon as its own does not answer, and two processes may see that differently.
//
// # Timeouts
//
// Without ContextTimeoutEnabled go-redis looks at a context only between
// attempts: a call whose context has ended comes back after ReadTimeout (by
// default 5 s) and occupies a pooled connection until then. redlatch does not wait
// for it, but set ContextTimeoutEnabled to have the connection back earlier. A
// cancellation without a deadline always takes until ReadTimeout. PoolSize has to
// serve the application and one call per lock that is being acquired, extended or
// released at the same time.
//
// # Broken connections
//
// By default go-redis sends a command again when the connection broke before the
// reply, or answered READONLY (MaxRetries 3). That is safe with redlatch's scripts. A
// Scripter goes on so with as many connections as are idle in the pool: with TLS, and on
// Windows, go-redis does not see that a server has closed them. A call on a closed client
// is core.ErrClosed.
//
// # Details
//
// Hooks see keys and arguments as strings. In place of a script's source they print
// "<script ...>" with the sum that EVALSHA names the script by. On the first use of a
// script at a server the EVALSHA before that is answered with NOSCRIPT, which a tracer
// shows as an error.
//
// Errors name the client's address, of a cluster client its seeds; that of a Sentinel
// client is not to be had, and "FailoverClient" stands there.
//
// Each subscription has a connection of its own outside the pool's limit. Silent
// for five seconds, it is given up: every two seconds a PING makes the server
// speak. A user whose ACL forbids PING is fine, since the refusal is an answer.
package goredis
