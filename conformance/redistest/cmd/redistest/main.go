// Command redistest starts servers, runs a command with their addresses in its
// environment, and stops them:
//
//	redistest -n 3 -image valkey-8.1 -- go test ./...
//
// The command finds the addresses, comma separated, in REDLATCH_ADDRS and what is
// there in REDLATCH_KIND (addrs, containers, process or embedded); with -cluster
// those of a Redis Cluster in REDLATCH_CLUSTER_ADDRS; with -sentinel
// those of three sentinels in REDLATCH_SENTINEL_ADDRS and the name of what they
// watch in REDLATCH_SENTINEL_NAME. With -n 0 there are no servers on their own,
// and REDLATCH_ADDRS stays as it is.
//
// redistest ends with the command's exit code, or 2 if it could not run it. At
// the end it prints what the command's tests, as far as they use package
// redistest, have used and left out. On SIGINT, SIGTERM and SIGHUP it passes the
// signal on, waits ten seconds for the command to end, and cleans up; after a
// SIGKILL a guard does so.
//
// redistest -images builds the container images that are missing and ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/conformance/redistest/internal/guard"
)

// options are the command line.
type options struct {
	n        int
	cluster  bool
	sentinel bool
	cfg      redistest.Config
	command  []string
}

func main() {
	var o options
	images := flag.Bool("images", false, "build the container images that are missing, and end")
	image := flag.String("image", "", "server to start: redis-7.0, redis-8.0, valkey-8.1 or a local image (default REDLATCH_IMAGE, else redis-8.0)")
	kind := flag.String("kind", "", "addrs, containers, process or embedded (default REDLATCH_SERVERS, else the first that can serve)")
	flag.IntVar(&o.n, "n", 1, "number of servers; 0 for none")
	flag.BoolVar(&o.cfg.AppendOnly, "appendonly", false, "keep data over a restart")
	flag.BoolVar(&o.cluster, "cluster", false, "also start a cluster of three primaries")
	flag.BoolVar(&o.sentinel, "sentinel", false, "also start a primary, two replicas and three sentinels")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: redistest [flags] -- command [argument]...\n       redistest -images")
		flag.PrintDefaults()
	}
	flag.Parse()
	o.cfg.Image, o.cfg.Kind = redistest.Image(*image), redistest.Kind(*kind)
	o.command = flag.Args()

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if *images {
		ctx, _ := untilSignal(signals)
		exit(0, interrupted(ctx, redistest.PrepareImages(ctx)))
	}
	if len(o.command) == 0 || o.n < 0 {
		flag.Usage()
		os.Exit(2)
	}
	exit(run(o, signals))
}

func exit(code int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, strings.Replace("redistest: "+err.Error(), "redistest: redistest: ", "redistest: ", 1))
		if code == 0 {
			code = 2
		}
	}
	os.Exit(code)
}

// untilSignal returns a context that ends with the next signal, and a function
// that ends it and leaves later signals to others.
func untilSignal(signals chan os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case s := <-signals:
			if ctx.Err() != nil {
				signals <- s // it came after the end
			}
			cancel(fmt.Errorf("stopped by a signal: %v", s))
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-gone
	}
}

// interrupted returns the signal that ended ctx, if one did and err came of it.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// run starts the servers, runs the command and stops the servers.
func run(o options, signals chan os.Signal) (code int, err error) {
	var env []string
	var stop []func() error
	defer func() {
		for i := len(stop) - 1; i >= 0; i-- {
			err = errors.Join(err, stop[i]())
		}
	}()

	ctx, cancel := untilSignal(signals)
	defer cancel()
	if o.n > 0 {
		g, err := redistest.Open(ctx, o.n, &o.cfg)
		if err != nil {
			return 2, interrupted(ctx, err)
		}
		stop = append(stop, g.Close)
		env = append(env, "REDLATCH_ADDRS="+strings.Join(g.Addrs(), ","), "REDLATCH_KIND="+string(g.Kind()))
		fmt.Fprintf(os.Stderr, "redistest: %v\n", g)
	}
	if o.cluster {
		g, err := redistest.OpenCluster(ctx, &o.cfg)
		if err != nil {
			return 2, interrupted(ctx, err)
		}
		stop = append(stop, g.Close)
		env = append(env, "REDLATCH_CLUSTER_ADDRS="+strings.Join(g.Addrs(), ","))
		fmt.Fprintf(os.Stderr, "redistest: %v\n", g)
	}
	if o.sentinel {
		s, err := redistest.OpenSentinel(ctx, &o.cfg)
		if err != nil {
			return 2, interrupted(ctx, err)
		}
		stop = append(stop, s.Close)
		env = append(env, "REDLATCH_SENTINEL_ADDRS="+strings.Join(s.Addrs(), ","), "REDLATCH_SENTINEL_NAME="+s.Name())
		fmt.Fprintf(os.Stderr, "redistest: a primary, 2 replicas and 3 sentinels, %s\n", s.Kind())
	}
	if os.Getenv("REDLATCH_REPORT") == "" { // else who set it prints the sum
		dir, err := os.MkdirTemp("", "redistest-")
		if err != nil {
			return 2, err
		}
		guard.Add(guard.Dir, dir)
		report := filepath.Join(dir, "report")
		env = append(env, "REDLATCH_REPORT="+report)
		stop = append(stop, func() error {
			line, err := redistest.Summary(report)
			if err == nil && line != "" {
				fmt.Fprintln(os.Stderr, line)
			}
			err = errors.Join(err, os.RemoveAll(dir))
			guard.Done(guard.Dir, dir)
			return err
		})
	}
	cancel() // from here on signals are the command's
	return child(o.command, env, signals)
}

// child runs the command and returns its exit code.
func child(command, env []string, signals <-chan os.Signal) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	pass, done, err := startChild(cmd)
	if err != nil {
		return 2, err
	}
	defer done()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var patience <-chan time.Time
	for {
		select {
		case s := <-signals:
			pass(s)
			if patience == nil {
				patience = time.After(10 * time.Second)
			}
		case <-patience:
			pass(os.Kill)
		case err := <-ended:
			if patience != nil {
				pass(os.Kill) // what it has started and not ended
			}
			return exitCode(cmd.ProcessState, err)
		}
	}
}

func exitCode(state *os.ProcessState, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 2, err
	}
	if code := state.ExitCode(); code >= 0 {
		return code, nil
	}
	return signalCode(state), nil
}
