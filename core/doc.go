// Package core holds what users and adapter authors of redlatch name: the
// [Scripter] that binds a Redis client, the [Options], the [Lease] that every
// acquisition returns, and the helpers that work on any [Locker].
package core
