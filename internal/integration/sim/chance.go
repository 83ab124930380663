package sim

import (
	"fmt"
	"sync"
	"time"

	"github.com/redlatch/redlatch/internal/random"
)

// chance is the library's randomness in a run, which follows from the seed and
// the time. Jitters drawn at one instant are equal and ids of one instant are
// numbered, so that it hardly matters which goroutine draws first.
type chance struct {
	dice Dice

	mu      sync.Mutex
	instant time.Time
	ids     uint64 // drawn at that instant
}

// seed replaces the library's randomness until the returned function is called.
// There is one for the process, so runs follow each other.
func seed(d Dice) (restore func()) {
	id, below := random.ID, random.Below
	c := &chance{dice: d.Named("library")}
	random.ID, random.Below = c.id, c.below
	return func() { random.ID, random.Below = id, below }
}

func (c *chance) below(d time.Duration) time.Duration {
	return c.dice.Of(uint64(time.Now().UnixNano())).Between(0, d)
}

func (c *chance) id() string {
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
