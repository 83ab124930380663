package failure

// An Entry is an error reply that servers give, and what is to be made of it.
type Entry struct {
	Begin  string // the code, or as much of the text as tells it from others of that code
	Class  Class
	Served bool   // the server has looked at the lock: no sign of an outage
	Why    string // what has happened, and what ends it
}

// Replies are the error replies of Redis 7 and 8, Valkey, Sentinel and Cluster that a call
// of this library can meet. The first whose Begin is the reply's own counts. A reply that
// is not here needs a person. docs/errors.md has the same table, for users.
var Replies = []Entry{
	{"LOADING", Passes, false, "the server reads its data after a start"},
	{"MASTERDOWN", Passes, false, "a replica has lost its primary; a failover ends it"},
	{"CLUSTERDOWN", Passes, false, "a slot has no owner, or the cluster no majority; a failover ends it"},
	{"READONLY", Passes, false, "the server has become a replica; the client finds the new primary"},
	{"REDIRECT", Passes, false, "Valkey: the server has become a replica and names the primary"},
	{"TRYAGAIN", Passes, true, "a slot is being moved, and this name's keys are at two servers"},
	{"ASK", Passes, true, "a slot is being moved, and the client has followed it as often as it may"},
	{"ERR Script attempted to access a non local key", Passes, true, "a slot is being moved, and a key that the script found gone is at the other server"},
	{"BUSY", Passes, false, "a slow script runs; its end, or SCRIPT KILL, ends it"},
	{"ERR Script killed by user", Passes, false, "SCRIPT KILL was meant for another's script and met this one"},
	{"MISCONF", Passes, false, "the server cannot save its data, and so refuses writes; the next save that succeeds ends it"},
	{"OOM", Passes, false, "maxmemory is reached; keys that expire or are deleted end it"},
	{"NOREPLICAS", Passes, false, "fewer replicas than min-replicas-to-write; one that is back ends it"},
	{"ERR max number of clients", Passes, false, "maxclients is reached; a client that leaves ends it"},
	{"UNBLOCKED", Passes, false, "the server has become a replica while the call waited in it"},
	{"NOGOODSLAVE", Passes, false, "Sentinel has found no replica to promote, yet"},
	{"INPROG", Passes, false, "Sentinel: a failover is under way"},
	{"NOQUORUM", Passes, false, "Sentinel: too few of the Sentinels can be reached"},
	{"GUARDED", Passes, false, "this library: the node has not been up for Options.RestartGuard"},

	{"NOAUTH", Person, false, "the client has no password, or lost it in a rotation"},
	{"WRONGPASS", Person, false, "the password or the user is another, as during a rotation"},
	{"ERR Protocol error: unauthenticated", Person, false, "NOAUTH, for a request of more than a few arguments"},
	{"ERR AUTH", Person, false, "the client has a password and the server none"},
	{"NOPERM", Person, false, "the user may not run a command or use a key: docs/acl.md"},
	{"ERR ACL failure in script", Person, false, "NOPERM, for what a script runs"},
	{"ERR The user executing the script", Person, false, "NOPERM, for what a script runs, in Redis 7.0"},
	{"ERR the restart guard needs INFO", Person, false, "this library: Options.RestartGuard is set and the user may not run INFO"},
	{"ERR the fencing counter of", Person, false, "this library: a clock was set by more than a day, or the counter was written by another program"},
	{"DENIED", Person, false, "the server is in protected mode and takes local clients only"},
	{"MOVED", Person, false, "the server is one of a cluster and the client is not made for one"},
	{"ERR No such master with that name", Person, false, "Sentinel does not know the name of the primary"},
	{"UNKILLABLE", Person, false, "a script that has written runs without end; SHUTDOWN NOSAVE ends it"},

	{"WRONGTYPE", Mistake, false, "another program, or a lock of another kind, has its data at the key of this name"},
	{"CROSSSLOT", Mistake, false, "the keys of one call are in several slots: the client has put a prefix before them"},
	{"EXECABORT", Mistake, false, "the client has put the call into a transaction"},
	{"NOSCRIPT", Mistake, false, "the Scripter did not tell that the script was not cached"},
	{"NOPROTO", Mistake, false, "the client speaks a protocol that the server does not know"},
	{"ERR", Mistake, false, "whatever else a server refuses, such as a command that it does not know"},
}
