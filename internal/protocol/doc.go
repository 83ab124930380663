// Package protocol is what this process and the nodes agree on: the Lua that runs on the
// nodes, the arguments that it is given, and the replies that come back.
//
// The verbs are the same for every lock: acquire, extend, repair, release, remove. A script is
// a verb put together with the part that says what a kind of lock is; see lua/head.lua. Go and
// Lua name the arguments in one table, in names.go: the first line of each script is made of
// that table, so no Lua file knows a position, and [Call] has a method for each verb. Replies
// are read in reply.go, and nowhere else.
package protocol
