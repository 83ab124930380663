package sim

import (
	"fmt"
	"sync"
	"time"

	"github.com/redlatch/redlatch/internal/random"
)

// chance is the library's randomness in a run, which follows from the seed and
// the time. Jitters drawn at one instant are equal and ids of one instant are
// numbered, so that it does not matter which goroutine draws first: see aliases.
type chance struct {
	dice    Dice
	shuffle *shuffle

	mu      sync.Mutex
	instant time.Time
	ids     uint64 // drawn at that instant
}

// seed replaces the library's randomness until the returned function is called.
// There is one for the process, so runs follow each other.
func seed(cluster *Cluster) (restore func()) {
	id, below := random.ID, random.Below
	c := &chance{dice: cluster.Dice.Named("library"), shuffle: cluster.shuffle}
	random.ID, random.Below = c.id, c.below
	return func() { random.ID, random.Below = id, below }
}

func (c *chance) below(d time.Duration) time.Duration {
	c.shuffle.yield()
	return c.dice.Of(uint64(time.Now().UnixNano())).Between(0, d)
}

func (c *chance) id() string {
	c.shuffle.yield()
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !now.Equal(c.instant) {
		c.instant, c.ids = now, 0
	}
	c.ids++
	d := c.dice.Named("id").Of(uint64(now.UnixNano()), c.ids)
	return fmt.Sprintf("%016x%016x", uint64(d), uint64(d.Of(1)))
}
