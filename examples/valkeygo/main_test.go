package valkeygo_test

import (
	"os"
	"testing"

	"github.com/redlatch/redlatch/internal/leaktest"
)

// TestMain uses a package that only this repository can; elsewhere goleak does the same.
func TestMain(m *testing.M) { os.Exit(leaktest.Check(m.Run())) }
