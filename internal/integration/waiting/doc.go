// Package waiting tests what waiting for a lock costs and what disturbs it: waiters that
// die, hang or leave, subscriptions that break, and many waiters at once.
package waiting
