//go:build unix

// Command chaos breaks servers, network and workers at random while the workers contend
// for locks, and judges what the locks did; see package chaos.
//
//	chaos -for 10m -seed 42
//
// It ends with 1 if a lock broke a promise, with 2 if the run could not be made or came to
// too few faults of a kind.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redlatch/redlatch/tests/chaos"
)

func main() {
	chaos.WorkIfAsked()
	cfg := chaos.Config{Log: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, time.Now().UTC().Format("15:04:05 ")+format+"\n", args...)
	}}
	flag.DurationVar(&cfg.For, "for", 10*time.Minute, "time with faults")
	flag.DurationVar(&cfg.Round, "round", 2*time.Minute, "longest time with faults before servers and workers are replaced")
	flag.Uint64Var(&cfg.Seed, "seed", 0, "seed of faults and workers (default random)")
	flag.IntVar(&cfg.Callers, "callers", 4, "goroutines of each worker that take locks")
	flag.DurationVar(&cfg.Guard, "guard", 0, "kill servers without persistence, with this RestartGuard, and nothing else")
	flag.DurationVar(&cfg.KillWorkers, "fleet", 0, "kill and restart one of the workers about this often, and break nothing else")
	nodes := flag.String("nodes", "3,5", "numbers of servers, one for each round by turns")
	workers := flag.String("workers", "", "adapters of the workers (default two of each: goredis, redigo, rueidis)")
	flag.Parse()
	for n := range strings.SplitSeq(*nodes, ",") {
		number, err := strconv.Atoi(n)
		if err != nil || number < 1 {
			fmt.Fprintf(os.Stderr, "chaos: -nodes %q: want numbers from 1 on, separated by commas\n", *nodes)
			os.Exit(2)
		}
		cfg.Nodes = append(cfg.Nodes, number)
	}
	if *workers != "" {
		cfg.Adapters = strings.Split(*workers, ",")
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	report, err := chaos.Run(ctx, cfg)
	fmt.Print(report)
	for _, v := range report.Violations {
		fmt.Println(v)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	case len(report.Violations) > 0:
		os.Exit(1)
	}
	if lacks := report.Missing(cfg.For); len(lacks) > 0 {
		fmt.Fprintln(os.Stderr, "chaos: too little was broken:", strings.Join(lacks, ", "))
		os.Exit(2)
	}
}
