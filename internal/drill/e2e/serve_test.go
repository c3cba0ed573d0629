//go:build e2e

package e2e

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestServeIsTheLabAlone: it prints where everything is as lines for a shell, serves, and ends by a signal with nothing
// left behind.
func TestServeIsTheLabAlone(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "hypervigil-lab"), "serve", "--profile=paper")
	tmp := t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	// The last line that it prints is a password.
	for lines := bufio.NewScanner(out); vars["HYPERVIGIL_LAB_GUEST_PASSWORD"] == "" && lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if !ok || !strings.HasPrefix(name, "export ") {
			t.Errorf("the line %q is none for a shell", lines.Text())
		}
		vars[strings.TrimPrefix(name, "export ")] = value
	}
	for _, name := range []string{
		"HYPERVIGIL_LAB_CONTROL", "HYPERVIGIL_LAB_CA", "HYPERVIGIL_LAB_WINRM_HV1", "HYPERVIGIL_LAB_WINRM_SQL03", "HYPERVIGIL_LAB_TDS_SQL03_REPORTING",
		"HYPERVIGIL_LAB_SQL_USER", "HYPERVIGIL_LAB_READER_PASSWORD", "HYPERVIGIL_LAB_OPERATOR_PASSWORD",
	} {
		if vars[name] == "" {
			t.Errorf("%s is not among what it prints: %v", name, vars)
		}
	}
	if code, body := fetch(t, vars["HYPERVIGIL_LAB_CONTROL"]+"/state"); code != http.StatusOK || !strings.Contains(body, `"name":"HV1","state":"up"`) {
		t.Errorf("GET /state = %d %s", code, body)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("serve ended with %v, want exit 0", err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
