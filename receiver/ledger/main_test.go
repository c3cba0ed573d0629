package ledger_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childLedger); path != "" {
		os.Exit(commitUntilKilled(path))
	}
	if path := os.Getenv(childCarry); path != "" {
		os.Exit(carryUntilKilled(path))
	}
	goleak.VerifyTestMain(m)
}
