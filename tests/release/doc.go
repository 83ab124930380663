// Package release has the test of scripts/release.sh: it makes a version in a clone, and
// uses that as a stranger would.
package release
