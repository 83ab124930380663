package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A mutant is the library with one thing broken.
type mutant struct {
	name string
	rule string // that it breaks
	edit
	more []edit // where one place is not enough
}

// An edit replaces a text that occurs once in a file of the repository.
type edit struct{ file, old, new string }

// overlay writes the broken files to dir and returns the path of a file that tells
// go build to take them instead of those of the repository at root, which stay as they
// are.
func (m *mutant) overlay(root, dir string) (string, error) {
	replace := map[string]string{}
	for _, e := range append([]edit{m.edit}, m.more...) {
		path := filepath.Join(root, e.file)
		from := path
		if edited, ok := replace[path]; ok {
			from = edited
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			return "", fmt.Errorf("%s has the text %d times, 1 wanted: %q", e.file, n, e.old)
		}
		to := filepath.Join(dir, strings.ReplaceAll(e.file, "/", "_"))
		if err := os.WriteFile(to, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
			return "", err
		}
		replace[path] = to
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}
