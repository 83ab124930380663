package checker_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redlatch/redlatch/conformance/checker"
	"github.com/redlatch/redlatch/core"
)

// Two workers report their claims; the second one was let in too early.
func ExampleCheck() {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	claims := []checker.Claim{
		{
			Name: "mutex:orders", Client: "worker-1", Kind: checker.Exclusive, Slot: checker.NoSlot, Token: 7,
			Granted: noon, Released: noon.Add(3 * time.Second),
		},
		{
			Name: "mutex:orders", Client: "worker-2", Kind: checker.Exclusive, Slot: checker.NoSlot, Token: 8,
			Granted: noon.Add(2 * time.Second), Released: noon.Add(4 * time.Second),
		},
	}
	fmt.Println(checker.Check(claims, nil))
	// Output:
	// redlatch: exclusion broken on "mutex:orders" at 2026-01-02T12:00:02.000000: exclusive claim while another (exclusive) was held, for 1s
	// 	exclusive mutex:orders by worker-1 token 7, granted 2026-01-02T12:00:00.000000, released 2026-01-02T12:00:03.000000
	// 	exclusive mutex:orders by worker-2 token 8, granted 2026-01-02T12:00:02.000000, released 2026-01-02T12:00:04.000000
}

// A program records what it does with its locks; this one with a lease of its own
// making.
func ExampleHistory() {
	h := checker.NewHistory()
	a := h.Ask(checker.Request{Name: "mutex:orders", Client: "worker-1", Kind: checker.Exclusive})
	end := time.Now().Add(time.Minute)
	lease, _ := core.NewLease(context.Background(), core.Claim{Token: 7, ValidUntil: func() time.Time { return end }})
	a.Granted(lease)
	a.Released() // before Release
	if err := lease.Release(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(h.Claims()), "claim, token", h.Claims()[0].Token)
	fmt.Println(h.Check(nil))
	// Output:
	// 1 claim, token 7
	// <nil>
}
