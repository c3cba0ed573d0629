// Command tally runs "go test -json" with the arguments it is given, shows each package as it ends and the output
// of the tests that failed, and adds what it counted to the file named by the environment's TALLY_FILE, as one line
// "passed failed skipped". It exits as go test did.
//
//	TALLY_FILE=build/tally go run ./internal/tools/tally -race ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		code = 1
	}
	os.Exit(code)
}

// run runs go test and returns its exit code.
func run(ctx context.Context, args []string) (int, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	// An interrupt lets the tests stop what they have started; only then are they killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	t := newTally(os.Stdout)
	readErr := t.read(out)
	waitErr := cmd.Wait()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](waitErr); ok {
		code = exit.ExitCode()
	} else if waitErr != nil {
		return 1, waitErr
	}
	if readErr != nil {
		return 1, fmt.Errorf("read the events of go test: %w", readErr)
	}
	if code != 0 && t.failed == 0 {
		// go test ended badly without an event that says where (a pattern without packages, a broken go.mod).
		t.failed++
	}
	t.summary()
	return code, record(os.Getenv("TALLY_FILE"), t)
}

// record appends the counts to the file; an empty name means that nobody asked.
func record(file string, t *tally) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d %d %d\n", t.passed, t.failed, t.skipped)
	return errors.Join(err, f.Close())
}
