// Package waiting tests on real servers what waiting for a lock costs and what disturbs it:
// subscriptions that break, and many waiters at once. Waiters that die, hang or leave at an
// exact instant are in package virtual.
package waiting
