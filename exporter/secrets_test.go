package exporter_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// TestNoPageAndNoLogShowsASecret looks at every page, of every target and with its log, while all is well, while hosts
// and instances are sick, with passwords that are refused, and with configurations that are.
func TestNoPageAndNoLogShowsASecret(t *testing.T) {
	t.Parallel()
	s := serve(t, still(nil), lab.ConfigOptions{Encrypt: "mandatory"})
	pages := []string{"/", "/metrics", "/-/healthy", "/-/ready", "/nothing"}
	for _, q := range []question{sqlWell, guestWell, hostWell, allUp} {
		probe := "/probe?module=" + q.module + "&target=" + q.target
		pages = append(pages, "/sd?module="+q.module, probe, probe+"&debug=true")
	}
	look := func() {
		var wg sync.WaitGroup
		for _, p := range pages {
			wg.Go(func() { s.get(http.MethodGet, p, http.Header{"X-Prometheus-Scrape-Timeout-Seconds": {"0.6"}}) })
		}
		wg.Wait()
	}
	look()
	if !strings.Contains(s.seen.String(), "probe_success{") || !strings.Contains(s.seen.String(), "level=debug") {
		t.Fatal("nothing was probed or logged")
	}
	for _, f := range []string{model.SQLHang, model.HostPowerOff} {
		in, err := s.lab.Inject(model.Request{Fault: f, VM: "SQL01"})
		if err != nil {
			t.Fatal(err)
		}
		look()
		s.lab.Heal(in.ID)
	}

	// A password that is refused is a secret all the same: it may be the right one with a slip of the finger.
	dir := filepath.Dir(s.config)
	const slip = "correct-horse-battery-stapel"
	for _, credential := range []string{"sql-monitor", "winrm-reader"} {
		write(t, filepath.Join(dir, credential+".pass"), slip)
	}
	for _, q := range []question{
		{"mssql_availability", "hv-lab/SQL02/MSSQLSERVER", false, []string{
			`mssql_server_state{sql_instance="MSSQLSERVER",state="running",vm="SQL02"} 1`,
			`probe_failure_reason{collector="availability",reason="auth",sql_instance="MSSQLSERVER",vm="SQL02"} 1`,
			`probe_success{sql_instance="MSSQLSERVER",vm="SQL02"} 0`,
		}},
		{"hyperv", "hv-lab/HV2", false, unseen("hyperv", "auth", `node="HV2"`)},
	} {
		all, _ := s.scrape(t, q.module, q.target, 30)
		if diff := cmp.Diff(q.want, deciding(t, all, "SQL02")); diff != "" {
			t.Errorf("a refused password, %s (-want +got):\n%s", q.target, diff)
		}
	}
	look()

	// A secret where none belongs is refused by its field, and not repeated.
	const inline = "hunter2-in-the-file"
	good, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.config, strings.Replace(string(good), "{username: hypervigil,", "{username: hypervigil, password: "+inline+",", 1))
	if got := s.get(http.MethodPost, "/-/reload", nil); got.Code != http.StatusInternalServerError || !strings.Contains(got.Body.String(), "credentials.sql-monitor.password") {
		t.Errorf("reload with a password in the file: %d %s", got.Code, got.Body)
	}
	write(t, s.config, string(good))
	if err := os.Remove(filepath.Join(dir, "sql-monitor.pass")); err != nil {
		t.Fatal(err)
	}
	if got := s.get(http.MethodPost, "/-/reload", nil); got.Code != http.StatusInternalServerError || !strings.Contains(got.Body.String(), `password of the credential "sql-monitor"`) {
		t.Errorf("reload without the password file: %d %s", got.Code, got.Body)
	}
	// The configuration in use goes on, and says that it has no password.
	all, _ := s.scrape(t, "mssql_availability", "hv-lab/SQL03/REPORTING", 30)
	if !slices.ContainsFunc(all["probe_failure_reason"], func(l string) bool { return strings.Contains(l, `reason="auth"`) && strings.HasSuffix(l, " 1") }) {
		t.Errorf("without a password file: %q, want the reason auth", all["probe_failure_reason"])
	}
	look()
	for _, secret := range []string{slip, inline} {
		wantNoneOf(t, s.seen.String(), map[string]string{"hypervigil": secret, "hv-reader": secret})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
