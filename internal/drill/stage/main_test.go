package stage

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// actAs names, in the environment, what this test binary plays when the tests start it as a program of the stage.
const actAs = "HYPERVIGIL_STAGE_ACT_AS"

func TestMain(m *testing.M) {
	if role := os.Getenv(actAs); role != "" {
		act(role)
		return
	}
	goleak.VerifyTestMain(m)
}

// act is a program: it says what it is and serves READY after a while, or ends.
func act(role string) {
	fmt.Println("this is", role)
	switch role {
	case "broken":
		fmt.Println("the configuration is bad")
		os.Exit(3)
	case "stubborn":
		signal.Ignore(os.Interrupt)
	}
	began := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(began) < 2500*time.Millisecond && role == "slow" {
			http.Error(w, "not ready:\n- hold_off ends in 2s", http.StatusServiceUnavailable)
		}
	})
	fmt.Println(http.ListenAndServe(os.Args[1], mux)) //nolint:gosec // a test's
}
