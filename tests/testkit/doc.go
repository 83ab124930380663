// Package testkit has what the test packages of this module share and what needs no
// server: which verb a script is, and a simulated cluster in virtual time. What they share
// on servers is in package clients.
package testkit
