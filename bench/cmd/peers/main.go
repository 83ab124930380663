// Peers measures redlatch beside other lock libraries and the bare clients, and writes
// the results as a page and a plot.
//
//	go run ./cmd/peers -out ../docs
//
// It starts the servers that it needs and stops them; it takes about ten minutes. If two
// holders of one lock overlap, or anything else fails, it prints what it has, writes no
// files and exits with status 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redlatch/redlatch/bench"
)

func main() {
	out := flag.String("out", "../docs", "folder for benchmarks.md and benchmarks.svg")
	short := flag.Bool("short", false, "some seconds instead of minutes; the numbers mean nothing then")
	limit := flag.Duration("limit", 30*time.Minute, "give up after this long")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	if err := run(ctx, *out, *short); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, short bool) error {
	results, err := bench.Run(ctx, short, func(step string) {
		fmt.Printf("%s  %s\n", time.Now().Format(time.TimeOnly), step)
	})
	if results == nil {
		return err
	}
	page := results.Markdown()
	fmt.Print(page)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(out, "benchmarks.md"), []byte(page), 0o644),
		os.WriteFile(filepath.Join(out, "benchmarks.svg"), []byte(results.SVG()), 0o644),
	)
}
