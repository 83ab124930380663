package sim

import (
	"sync"
	"sync/atomic"
	"time"
)

// Config is the shape of a cluster.
type Config struct {
	Seed    uint64
	Nodes   int
	Clients int
	// Near and Far bound the one-way delay of links. Defaults: 100 us, 1 ms.
	Near, Far time.Duration
	// ClockSpread is how far wall clocks of nodes and clients may be off at the
	// start, either way. Default: 0, all clocks agree.
	ClockSpread time.Duration
	// LosesLast says that Node.Crash(KeepMost) will be used: nodes then keep
	// snapshots of their last second.
	LosesLast bool
}

// A Cluster is nodes, clients and the links between them, all made and used in
// one bubble.
type Cluster struct {
	Config  Config
	Dice    Dice
	Nodes   []*Node
	Clients []*Client

	mu     sync.Mutex // guards Clients while the cluster runs
	stats  *Stats
	faults atomic.Pointer[Faults]
	trace  trace
	start  time.Time

	aliases *aliases
	shuffle *shuffle
}

// New starts a cluster, which must be closed in the same bubble. The figures
// are added to stats as they arise.
func New(config Config, stats *Stats) (*Cluster, error) {
	if config.Near <= 0 {
		config.Near = 100 * time.Microsecond
	}
	if config.Far <= config.Near {
		config.Far = config.Near + 900*time.Microsecond
	}
	c := &Cluster{Config: config, Dice: Dice(mix(config.Seed)), stats: stats, start: time.Now(), aliases: newAliases()}
	c.faults.Store(&Faults{})
	for i := range config.Nodes {
		d := c.Dice.Named("node").Of(uint64(i))
		n, err := newNode(i, d, stats, NewClock(c.off(d), 1))
		if err != nil {
			c.Close()
			return nil, err
		}
		if config.LosesLast {
			n.snapshots = &snapshots{}
		}
		c.Nodes = append(c.Nodes, n)
	}
	for range config.Clients {
		c.AddClient()
	}
	return c, nil
}

// AddClient adds one more client.
func (c *Cluster) AddClient() *Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := len(c.Clients)
	d := c.Dice.Named("client").Of(uint64(i))
	cl := &Client{
		Index: i, Wall: NewClock(c.off(d), 1), cluster: c, running: make(chan struct{}),
		ReadTimeout: d.Named("timeout").Between(time.Second, 5*time.Second),
		HonoursCtx:  d.Named("honours").Chance(0.5),
	}
	close(cl.running)
	for j, n := range c.Nodes {
		cl.links = append(cl.links, &Link{
			client: cl, node: n, cluster: c, dice: d.Named("link").Of(uint64(j)),
			near: c.Config.Near, far: c.Config.Far, same: map[uint64]int{},
		})
	}
	c.Clients = append(c.Clients, cl)
	return cl
}

// off is how far the wall clock of a machine is off at the start.
func (c *Cluster) off(d Dice) time.Duration {
	return d.Named("clock").Between(-c.Config.ClockSpread, c.Config.ClockSpread)
}

// alive lists the clients that have not been killed.
func (c *Cluster) alive() []*Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	var alive []*Client
	for _, cl := range c.Clients {
		if !cl.Killed() {
			alive = append(alive, cl)
		}
	}
	return alive
}

// SetFaults changes the weather for all calls made from now on; nil is calm.
func (c *Cluster) SetFaults(f *Faults) {
	if f == nil {
		f = &Faults{}
	}
	c.faults.Store(f)
}

// Heal mends all links and brings back all nodes and all clients that have not
// been killed.
func (c *Cluster) Heal() {
	for _, n := range c.Nodes {
		n.Resume()
		n.Restart(0)
		for f := range refusals {
			n.Relieve(f)
		}
	}
	for _, cl := range c.Clients {
		cl.Resume()
		for _, l := range cl.links {
			l.Cut(false)
			l.Stale(0)
		}
	}
}

// Trace is a digest of every script that ran, when, for whom, and of its reply.
// Two runs of one seed have the same.
func (c *Cluster) Trace() uint64 { return c.trace.sum.Load() }

// Close frees the nodes.
func (c *Cluster) Close() {
	for _, n := range c.Nodes {
		n.close()
	}
}
