// Package rules holds a test for each rule that the scripts keep on a node: one holder,
// leases that end one by one, tokens, the queue. The library and its Lua run in virtual
// time on package sim's nodes, without faults but the one that the test is about.
package rules
