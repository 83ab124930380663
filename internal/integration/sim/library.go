package sim

import (
	"fmt"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
)

// open gives a client its locks: the real library on the client's links.
func (r *run) open(cl *Client) ([]door, func() error, error) {
	p, err := redlatch.New(cl.Nodes(), &core.Options{
		Expiry: r.expiry(cl), ExtensionCadence: r.plan.Cadence, MaxBusyWait: r.plan.MaxBusyWait, Now: cl.Wall.Now,
		RestartGuard: r.plan.Guard,
	})
	if err != nil {
		return nil, nil, err
	}
	var doors []door
	for i := range r.plan.Names {
		mutex, err := p.Mutex(fmt.Sprintf("mutex-%d", i))
		if err != nil {
			return nil, nil, err
		}
		rw, err := p.RWMutex(fmt.Sprintf("rw-%d", i))
		if err != nil {
			return nil, nil, err
		}
		limit := 1 + (i+int(r.plan.Seed))%3
		sem, err := p.Semaphore(fmt.Sprintf("semaphore-%d", i), limit)
		if err != nil {
			return nil, nil, err
		}
		doors = append(doors,
			r.door(cl, mutex, checker.Exclusive, 0),
			r.door(cl, rw, checker.Exclusive, 0),
			r.door(cl, rw.RLocker(), checker.Shared, 0),
			r.door(cl, sem.Locker(), checker.Permit, limit),
		)
	}
	return doors, p.Close, nil
}

func (r *run) door(cl *Client, l core.Locker, kind checker.Kind, limit int) door {
	d := door{Locker: l, request: checker.Request{
		Name: l.Name(), Client: fmt.Sprintf("client-%d", cl.Index), Kind: kind, Limit: limit,
	}}
	if kind == checker.Exclusive {
		d.register = r.register(l.Name())
	}
	return d
}
