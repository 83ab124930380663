package guide

import (
	"os"
	"testing"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Check(redistest.Main(m))) }
