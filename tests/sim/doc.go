// Package sim runs the real library and its real scripts in virtual time.
//
// A [Cluster] lives in a testing/synctest bubble. Its nodes are miniredis
// servers called in process: each script really runs, on a clock that belongs
// to the node. Its clients reach the nodes over simulated links, which are
// core.Scripter and core.Subscriber. Nothing opens a socket and nothing waits
// for real time, so hours of cluster time pass in seconds.
//
// # Faults
//
// Each call on a link may meet a fault: request lost, reply lost, delayed,
// connection reset, sent again by the client after the reply was lost, the
// first copy of a repeated call arriving late, an error reply such as LOADING.
// Random delays reorder calls by themselves. Connections are dead before the call. A
// subscription may go deaf, lose messages or repeat them; all those of a node go deaf at
// once, as in a planned failover. Nodes pause, crash and come back with all their data,
// without the last second of it, or with none; their clocks step and run slow or fast.
// Nodes refuse for a while: what needs memory, or all that writes, or calls of several
// keys of which one is absent, or everything. Single keys vanish: of the holds and
// counters those that the locks can spare, see [Cluster.Evict]. Clients pause, are
// killed, and have wall clocks that are hours off. Links are cut for a while. Callers
// leave, and close the provider that others wait with. In some runs no client can
// subscribe.
//
// # One seed
//
// Every delay and every fault is computed from the seed and from what the call
// is (link, time, script, key), not drawn from a sequence. So the order in which
// goroutines happen to run within one instant does not matter, and a run can be
// replayed from its seed; [Cluster.Trace] is a digest of all that happened. Calls of one
// instant that are alike are told apart by the worker that they are for, which is in
// their contexts' values. What was held up together goes on within a millisecond, each
// call at an instant of its own. [Plan.Shuffle] shows what still depends on order.
//
// # Running it
//
// go test runs seeds for 20 s of real time, and fails if they did too little.
// REDLATCH_SIM_LIMIT=4m asks for much more: see full. REDLATCH_SIM_TIME=5m goes on for
// longer, REDLATCH_SIM_SEED says where to begin, and REDLATCH_SIM_RUNS=1 makes one
// run only: that is how a run is had again from its seed; REDLATCH_SIM_EVENTS keeps what
// happened in it, in a file whose name begins so. Seeds are independent,
// so two processes with different first seeds use two processors.
//
// # What is approximate
//
// A goroutine in a bubble cannot be stopped from outside. A paused client is one
// whose calls are not sent, whose replies are not delivered and whose wall clock
// stands still; its timers still fire. A killed client is one whose links never
// carry anything again; the goroutines of the library live on, unable to act.
package sim
