// Command mutants breaks the library, one line at a time, and shows which test notices.
//
//	go run ./mutants [-run regexp] [-write docs/testing.md]
//
// It ends with an error if a breakage goes unnoticed, does not compile, or does not
// find the text that it is to replace. No file of the repository is changed but the one
// to be written: the broken files stand in a folder of their own, and go build is told
// to take them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	only := flag.String("run", "", "take only the mutants whose name matches")
	write := flag.String("write", "", "write the table of mutants into this file, between its marks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *write); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, write string) error {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	root, err := repository()
	if err != nil {
		return err
	}
	if test, err := kill(ctx, root, "", "", false); err != nil || test != "" {
		return fmt.Errorf("the tests fail on the library as it is: %s %w", test, err)
	}

	made, err := generate(root)
	if err != nil {
		return err
	}
	began, table, survivors, failed := time.Now(), strings.Builder{}, 0, 0
	table.WriteString("| mutant | breaks | killed by |\n|---|---|---|\n")
	count, alike, walked := 0, 0, 0
	for i, m := range slices.Concat(mutants, made) {
		if !chosen.MatchString(m.name) {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		count++
		generated := i >= len(mutants)
		since := time.Now()
		killer, err := try(ctx, root, &m, generated)
		took := time.Since(since).Round(100 * time.Millisecond)
		switch {
		case err != nil:
			failed++
			fmt.Printf("FAIL      %-28s %v\n", m.name, err)
		case killer == "" && generated && twins[m.name] != "":
			alike++
			fmt.Printf("the same  %-28s %s\n", m.name, twins[m.name])
		case killer == "":
			survivors++
			fmt.Printf("SURVIVED  %-28s %s\n", m.name, m.rule)
		case generated:
			walked++
			fmt.Printf("killed    %-28s by %s (%v)\n", m.name, killer, took)
		default:
			fmt.Printf("killed    %-28s by %s (%v)\n", m.name, killer, took)
			fmt.Fprintf(&table, "| %s | %s | `%s` |\n", m.name, m.rule, killer)
		}
	}
	fmt.Fprintf(&table, "| %d made of the decision's source: each operator, case and result | every ballot has its move and its verdict | `internal/vote.TestEveryBallot` or `TestEveryVerdict`; %d more mean the same |\n", walked, alike)
	fmt.Printf("%d of %d killed, %d mean the same, in %v\n", count-alike-survivors-failed, count, alike, time.Since(began).Round(time.Second))
	if survivors+failed > 0 {
		return fmt.Errorf("%d survived, %d could not be tried", survivors, failed)
	}
	if write != "" {
		return replaceTable(filepath.Join(root, write), table.String())
	}
	return nil
}

// try makes a mutant and returns the test that notices.
func try(ctx context.Context, root string, m *mutant, generated bool) (killer string, err error) {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	return kill(ctx, root, overlay, m.file, generated)
}

// repository returns the folder of the root module, which the module of this command
// stands in.
func repository() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	return filepath.Dir(filepath.Dir(strings.TrimSpace(string(out)))), nil
}

// The marks between which the table stands.
const (
	tableBegin = "<!-- mutants: written by make mutants -->\n"
	tableEnd   = "<!-- end of mutants -->\n"
)

func replaceTable(path, table string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	_, after, ends := strings.Cut(rest, tableEnd)
	if !ok || !ends {
		return fmt.Errorf("%s lacks the marks %q and %q", path, tableBegin, tableEnd)
	}
	return os.WriteFile(path, []byte(before+tableBegin+table+tableEnd+after), 0o644)
}
