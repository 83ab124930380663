package linear_test

import (
	"os"
	"testing"

	"github.com/redlatch/redlatch/tests/testkit/clients"
)

func TestMain(m *testing.M) { os.Exit(clients.Main(m, 8)) }
