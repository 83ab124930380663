// Command fencing shows a resource that refuses a late write by its fencing token: a
// table with one column more.
package main

import (
	"context"
	"fmt"
	"log"
	"sync"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/examples/internal/connect"
)

// A table is what a database would be. Its update is, in SQL,
//
//	UPDATE reports SET body = ?, token = ? WHERE id = ? AND token <= ?
//
// and tells how many rows it has changed.
type table struct {
	mu   sync.Mutex
	rows map[string]row
}

type row struct {
	body  string
	token int64
}

func (t *table) update(id, body string, token int64) (changed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows[id].token > token {
		return 0
	}
	t.rows[id] = row{body, token}
	return 1
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	locks, end, err := connect.Open(nil)
	if err != nil {
		return err
	}
	defer end()
	mutex := redlatch.WaitForReady(locks.Mutex("reports/7"))
	reports := &table{rows: map[string]row{}}

	fmt.Println("first holder asks for the mutex")
	first, err := mutex.Lock(ctx)
	if err != nil {
		return err
	}
	if err := first.Release(ctx); err != nil {
		log.Print(err) // the mutex is free after its expiry, as after a crash
	}
	second, err := mutex.Lock(ctx)
	if err != nil {
		return err
	}
	defer second.Release(ctx)

	fmt.Println("second holder writes, rows changed:", reports.update("7", "by the second", second.Token()))
	fmt.Println("first holder writes late, rows changed:", reports.update("7", "by the first", first.Token()))
	fmt.Println("the report is:", reports.rows["7"].body)
	return nil
}
