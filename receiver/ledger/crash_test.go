package ledger_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// childLedger names the variable that makes the test binary a process that commits until it is killed.
const childLedger = "HYPERVIGIL_TEST_LEDGER"

// commitUntilKilled writes pairs of keys from several goroutines and prints each name once it is acknowledged. It
// ends only where something is wrong.
func commitUntilKilled(path string) int {
	store, err := ledger.OpenBolt(path, ledger.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := ledger.NewCommitter(store, 1)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
				value := []byte(strings.Repeat(name, 1+i%300))
				batch := []ledger.Op{
					{Key: ledger.Key("first", name), Value: value, IfAbsent: true},
					{Key: ledger.Key("second", name), Value: value},
				}
				if err := c.Commit(context.Background(), batch); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				if _, err := os.Stdout.WriteString(name + "\n"); err != nil { // one write, no buffer
					return
				}
			}
		})
	}
	wg.Wait()
	return 1
}

// A process is killed while it commits; what it was told is there is there, whole, and so time after time.
func TestBoltKeepsWhatItAcknowledgedWhenKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	acknowledged := map[string]bool{}
	for round := range 6 {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), self)
		child.Env = append(os.Environ(), childLedger+"="+path)
		var complaints strings.Builder
		child.Stderr = &complaints
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ { // on after the kill: what was written to the pipe was acknowledged
			acknowledged[lines.Text()] = true
			if n == 5+round*23 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		err = child.Wait()
		if child.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v\n%s", err, complaints.String())
		}
		verifyPairs(t, path, acknowledged)
	}
	if len(acknowledged) < 6*5 {
		t.Errorf("only %d commits were acknowledged", len(acknowledged))
	}
}

// verifyPairs reads the ledger that a killed process left.
func verifyPairs(t *testing.T, path string, acknowledged map[string]bool) {
	t.Helper()
	store, err := ledger.OpenBolt(path, ledger.Options{})
	if err != nil {
		t.Fatalf("OpenBolt() after the kill = %v, want no error", err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	halves := map[string]map[string]string{"first": {}, "second": {}}
	if err := store.List(t.Context(), "", func(key string, value []byte) error {
		names, err := ledger.Names(key)
		if half, ok := halves[names[0]]; ok {
			half[names[1]] = string(value)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for name := range acknowledged {
		if halves["first"][name] == "" {
			t.Errorf("%s was acknowledged and is not there", name)
		}
	}
	for name, value := range halves["first"] {
		if halves["second"][name] != value {
			t.Errorf("half of the batch of %s is there", name)
		}
	}
	if a, b := len(halves["first"]), len(halves["second"]); a != b {
		t.Errorf("%d first halves and %d second ones, want as many", a, b)
	}
}
