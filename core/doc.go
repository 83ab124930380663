// Package core holds what writers of adapters and of locks name: the [Scripter] that binds
// a Redis client, with what it may implement beside it, and the [Locker], whose [Claim]s
// become leases.
//
// What programs that only take locks need of it, the [Options], the [Lease], the errors and
// the functions that work on any Locker, package redlatch has under the same names.
package core
