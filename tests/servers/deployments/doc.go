// Package deployments tests the locks on deployments whose clients find the servers by
// themselves, Redis Sentinel and Redis Cluster, on one address behind which something
// else stands from one moment to the next, and as a user that may do nothing but what
// docs/acl.md names.
package deployments
