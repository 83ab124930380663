package linear_test

import (
	"os"
	"testing"

	"github.com/redlatch/redlatch/internal/integration/rwsem/clients"
)

func TestMain(m *testing.M) { os.Exit(clients.Main(m)) }
