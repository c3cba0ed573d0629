// Package peers finds the programs of others that tests talk to or with: FreeTDS' tsql, tedious under Node.js,
// pywinrm under Python. A test says which it needs; where it is missing the test is skipped, and the skip is on
// record, so that "make test" can end with the list of what it did not prove.
//
// Two variables of the environment steer it. HYPERVIGIL_SKIPPED_PEERS names a file to which the name of each
// missing peer is appended, one a line. REQUIRE_PEERS=1 turns a skip into a failure. The package installs nothing.
package peers

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"time"
)

// lookTimeout bounds one look-up: an interpreter that hangs must not hang the tests.
const lookTimeout = 20 * time.Second

// T is what Need uses of a *testing.T.
type T interface {
	Helper()
	Context() context.Context
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Need returns the path of a peer, or ends the test. A plain name is a program on PATH ("tsql");
// "python3:MODULE" is a Python interpreter that can import MODULE, "node:MODULE" a Node.js that can load MODULE,
// and the path is the interpreter's.
func Need(t T, name string) string {
	t.Helper()
	path, why := find(t.Context(), name)
	if why == "" {
		return path
	}
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatalf("peer %s is missing and REQUIRE_PEERS=1: %s", name, why)
		return ""
	}
	if err := record(os.Getenv("HYPERVIGIL_SKIPPED_PEERS"), name); err != nil {
		t.Fatalf("record that peer %s was skipped: %v", name, err)
		return ""
	}
	t.Skipf("peer %s is missing, so nothing is proven with it: %s", name, why)
	return ""
}

// find looks a peer up; why is empty if it is there.
func find(ctx context.Context, name string) (path, why string) {
	interpreter, module, ok := strings.Cut(name, ":")
	if !ok {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", err.Error()
		}
		return path, ""
	}
	var load []string
	candidates := []string{interpreter}
	switch interpreter {
	case "python3":
		// A Python of the user's own may stand before the system's, and only the system's sees packages of the
		// distribution.
		candidates = append(candidates, "/usr/bin/python3")
		load = []string{"-c", "import importlib, sys; importlib.import_module(sys.argv[1])", module}
	case "node":
		load = []string{"-e", "require(process.argv[1])", module}
	default:
		return "", "no way is known to load a module with " + interpreter + "; use python3:MODULE or node:MODULE"
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for _, c := range candidates {
		path, err := exec.LookPath(c)
		if err != nil {
			why = err.Error()
			continue
		}
		if err := exec.CommandContext(ctx, path, load...).Run(); err != nil {
			why = path + " cannot load " + module + ": " + err.Error()
			continue
		}
		return path, ""
	}
	return "", why
}

// record appends the name to the list of skipped peers; an empty file name means that nobody asked for the list.
func record(file, name string) error {
	if file == "" {
		return nil
	}
	// One write in append mode: test binaries of several packages share the file.
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(name + "\n"); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
