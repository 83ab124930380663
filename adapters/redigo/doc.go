// Package redigo binds a redigo connection pool to redlatch.
//
//	pool := &redis.Pool{
//		MaxIdle: 16, MaxActive: 64, Wait: true, IdleTimeout: 4 * time.Minute,
//		DialContext: func(ctx context.Context) (redis.Conn, error) {
//			return redis.DialContext(ctx, "tcp", "localhost:6379",
//				redis.DialConnectTimeout(2*time.Second),
//				redis.DialReadTimeout(2*time.Second),
//				redis.DialWriteTimeout(2*time.Second))
//		},
//	}
//	node := redigo.New(pool)
//
// # Deployments
//
//   - Standalone.
//   - Sentinel, if DialContext asks the sentinels for the master each time.
//   - Not Cluster: redigo does not follow redirections, so a name of another node
//     fails with the server's MOVED error. Use goredis or rueidis.
//
// # Timeouts
//
// Set DialContext and all three timeouts. Pool.Dial does not see contexts, so a
// call that has to connect takes up to the connect timeout, by default 30 s.
// Reads and writes have no timeout by default: a call to a server that hangs then
// ends only with its context. With MaxActive set, set Wait too: otherwise a call
// that finds all connections in use fails with redis.ErrPoolExhausted.
//
// A connection whose call was cut short is closed and not put back. Connections
// that DialContext wraps must implement redis.ConnWithContext, and
// redis.ConnWithTimeout for subscriptions.
//
// # Broken connections
//
// redigo finds out that the server has closed a pooled connection only when a command
// has failed on it. A Scripter then sends the call again, over as many connections as
// were idle and one more, until its context ends; redlatch's scripts are safe to run
// twice. A connection that answers READONLY is closed, and its call sent again alike: behind
// an address that has moved, new connections reach the new primary.
//
// A call on a closed pool is core.ErrClosed. Subscriptions outlive the pool, as they do not
// come from it.
//
// A pool does not know where it dials. [NewAt] is told, so that errors can name it.
//
// # Subscriptions
//
// Each subscription has a connection of its own from the pool's dial function,
// outside MaxActive. Silent for five seconds, it is given up: every two seconds a
// PING makes the server speak. A user whose ACL forbids PING is fine, since the
// refusal is an answer.
//
// Commands go out as strings, which redis.NewLoggingConn prints quoted.
package redigo
