package deployments_test

import (
	"os"
	"testing"

	"github.com/redlatch/redlatch/conformance/redistest"
	"github.com/redlatch/redlatch/internal/integration/leaks"
)

func TestMain(m *testing.M) { os.Exit(leaks.Check(redistest.Main(m))) }
