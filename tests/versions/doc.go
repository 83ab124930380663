// Package versions has the test that clients of the last version and of the tree share
// locks, as they do during a rolling upgrade.
package versions
