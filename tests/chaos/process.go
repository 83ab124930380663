//go:build unix

package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A process is a worker as the run sees it: one process after another, since it is
// killed and started anew.
type process struct {
	r       *round
	name    string
	adapter string
	addrs   []string

	mu         sync.Mutex
	cmd        *exec.Cmd
	in         io.WriteCloser
	orders     *lines
	generation int
	killed     bool
	said       bool          // bye
	gone       chan struct{} // closed when the process has ended and all that it said is on record
	stderr     *head
}

// start starts the process.
func (p *process) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	cfg := p.r.cfg
	t := task{
		Worker: p.name, Adapter: p.adapter, Addrs: p.addrs, Callers: cfg.Callers,
		Expiry: cfg.Expiry * time.Duration(4+p.r.indexOf(p)%3) / 4, Guard: cfg.Guard, Variant: p.generation,
		Seed: p.r.seed ^ uint64(p.generation+1)<<32 ^ uint64(p.r.indexOf(p)),
	}
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	p.cmd, p.stderr = exec.Command(self), &head{}
	p.cmd.Env = append(os.Environ(), taskVariable+"="+string(text))
	p.cmd.Stderr = p.stderr
	// A group of its own: the run's end, even a sudden one, hangs up on a worker that is
	// stopped, and ends the input of one that is not.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.generation++
	p.killed, p.said, p.gone = false, false, make(chan struct{})
	p.orders = newLines(p.in)
	go p.listen(out, p.cmd, p.gone, fmt.Sprintf("%s#%d", p.name, p.generation))
	return nil
}

// listen records what the process says until it has ended.
func (p *process) listen(out io.Reader, cmd *exec.Cmd, gone chan struct{}, who string) {
	defer close(gone)
	in := json.NewDecoder(out)
	for {
		var m report
		if in.Decode(&m) != nil {
			break
		}
		switch m.Kind {
		case read:
			v, ok := p.r.registers.read(m.Name, m.Token)
			p.order(order{Kind: answer, ID: m.ID, OK: ok, Value: v})
		case write:
			v, ok := p.r.registers.write(m.Name, m.Token, m.Base, who)
			p.order(order{Kind: answer, ID: m.ID, OK: ok, Value: v})
		case wrong:
			p.r.fail(fmt.Errorf("chaos: %s: %s", who, m.Text))
		case bye:
			p.mu.Lock()
			p.said = true
			p.mu.Unlock()
		default:
			p.r.ledger.note(who, p.adapter, m)
		}
	}
	err := cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed && (err != nil || !p.said) {
		p.r.fail(fmt.Errorf("chaos: %s ended by itself: %v: %s", who, err, p.stderr))
	}
}

// order sends an order. A process that is stopped takes it later; one that is gone,
// never.
func (p *process) order(o order) {
	p.mu.Lock()
	orders := p.orders
	p.mu.Unlock()
	_ = orders.send(o)
}

func (p *process) signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Signal(s)
}

// kill ends the process without warning, with the claims that it had.
func (p *process) kill() error {
	p.mu.Lock()
	p.killed = true
	gone := p.gone
	who := fmt.Sprintf("%s#%d", p.name, p.generation)
	p.mu.Unlock()
	at := p.r.clock.now()
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-gone
	p.r.ledger.died(who, at)
	return nil // Wait has closed its input
}

// finish tells the process to end and waits for that.
func (p *process) finish(within time.Duration) {
	p.order(order{Kind: stop})
	p.mu.Lock()
	gone, stderr := p.gone, p.stderr
	p.mu.Unlock()
	select {
	case <-gone:
		return // Wait has closed its input
	case <-time.After(within):
	}
	p.r.fail(fmt.Errorf("chaos: %s has not ended %v after it was told to", p.name, within))
	_ = p.signal(syscall.SIGQUIT) // it prints its stacks
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
	}
	p.r.fail(fmt.Errorf("chaos: %s, where it was: %s", p.name, stderr))
	_ = p.signal(syscall.SIGKILL)
	<-gone
}

// A head keeps the beginning, about 256 KiB, of what is written to it: a program that
// panics, or gets SIGQUIT, says why first.
type head struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *head) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.text.Len() < 1<<18 {
		h.text.Write(b)
	}
	return len(b), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}
