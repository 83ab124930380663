package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/examples/internal/embedded"
)

func readers(ctx context.Context, s *stage, servers []*embedded.Server) error {
	s.open("A reader-writer lock: readers together, writers alone, all in order of arrival")
	names := []string{"ada", "barbara", "edsger", "grace", "leslie"}
	const writer = 3 // grace
	const apart = 80 * time.Millisecond

	var c chart
	began := time.Now()
	err := together(servers, names, func(i int, p *process) error {
		lock := p.locks.RWMutex("catalogue")
		side, mark := lock.RLocker(), byte('r')
		if i == writer {
			side, mark = lock, 'W'
		}
		time.Sleep(time.Until(began.Add(time.Duration(i) * apart))) // one comes after the other
		asked := time.Now()
		return redlatch.Do(ctx, side, func(context.Context) error {
			held := time.Now()
			c.add(p.name, asked, held, waits)
			time.Sleep(5 * apart)
			c.add(p.name, held, time.Now(), mark)
			return nil
		})
	})
	if err != nil {
		return err
	}
	c.draw(s, names, "r reads  W writes  . waits")

	reads, write := c.of('r'), c.of('W')[0]
	for _, read := range reads {
		if read.from.Before(write.to) && write.from.Before(read.to) {
			return fmt.Errorf("%s read while grace wrote", read.row)
		}
	}
	s.say("grace waits for the readers that were there before. leslie, who came after grace, waits")
	s.say("for grace, so that a stream of readers does not keep a writer out.")
	return nil
}
