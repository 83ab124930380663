// Package deployments tests the locks on deployments whose clients find the servers by
// themselves: Redis Sentinel and Redis Cluster.
package deployments
