package bench

import (
	"fmt"
	"sync"
	"time"
)

// A Witness stands beside one lock and sees, on this process's clock, who wants it, who
// holds it and for how long nobody does. It is safe for concurrent use.
type Witness struct {
	mu      sync.Mutex
	err     error
	holder  int // -1: nobody
	wanting int // clients that wait
	left    time.Time
	wanted  bool // somebody waited when the last holder left
	watch   bool // what happens is recorded

	grants []int           // by client
	idle   []time.Duration // between two holders, while somebody waited
}

// NewWitness returns a witness of so many clients.
func NewWitness(clients int) *Witness { return &Witness{holder: -1, grants: make([]int, clients)} }

// Record begins to record, or ends it.
func (w *Witness) Record(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch = on
}

// Want is called before a client asks for the lock.
func (w *Witness) Want() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanting++
}

// Enter is called as soon as a client has been told that it holds the lock.
func (w *Witness) Enter(client int) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holder >= 0 && w.err == nil {
		w.err = fmt.Errorf("bench: overlap: client %d was let in while client %d held the lock", client, w.holder)
	}
	w.holder = client
	w.wanting--
	if w.watch {
		w.grants[client]++
		if w.wanted {
			w.idle = append(w.idle, now.Sub(w.left))
		}
	}
}

// Leave is called before a client begins to give the lock back.
func (w *Witness) Leave(client int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holder != client && w.err == nil {
		w.err = fmt.Errorf("bench: overlap: client %d held the lock when client %d left it", w.holder, client)
	}
	w.holder = -1
	w.wanted = w.wanting > 0
	w.left = time.Now()
}

// Err returns the first overlap.
func (w *Witness) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
