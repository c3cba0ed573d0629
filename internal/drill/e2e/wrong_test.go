//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab"
)

// pair is the exporter and the receiver alone, on a lab.
type pair struct {
	dir, config                 string
	exporter, receiver, webhook string // base URLs; the webhook's address
	token                       string
}

// startPair starts both; edit changes hypervigil.yml before.
func startPair(t *testing.T, edit func(string) string) pair {
	t.Helper()
	dir := t.TempDir()
	l, err := lab.Start(lab.Options{Dir: dir, Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	p := pair{dir: dir}
	if p.config, err = l.Config(lab.ConfigOptions{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	rewrite(t, p.config, edit)
	token, err := os.ReadFile(filepath.Join(dir, "webhook.token"))
	if err != nil {
		t.Fatal(err)
	}
	p.token = strings.TrimSpace(string(token))
	at := make([]string, 3)
	for n := range at {
		at[n] = free(t)
	}
	p.exporter, p.receiver, p.webhook = "http://"+at[0], "http://"+at[1], at[2]
	ours := stage.Ours(bin)
	for _, x := range []struct {
		name, path, ready string
		args              []string
	}{
		{"exporter", ours.Exporter, p.exporter + "/-/ready", []string{"--web.listen-address=" + at[0]}},
		{"receiver", ours.Receiver, p.receiver + "/-/healthy", []string{"--web.listen-address=" + at[1], "--webhook.listen-address=" + at[2]}},
	} {
		process, err := stage.StartProcess(dir, x.name, x.path, nil, append(x.args, "--config.file="+p.config)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			process.Stop()
			gone(t, x.name, process.PID())
		})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := process.WaitReady(ctx, testLog{t}, x.ready); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func rewrite(t *testing.T, path string, edit func(string) string) {
	t.Helper()
	if edit == nil {
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(edit(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWrongInputsAreAnsweredAsSaid, by the programs themselves.
func TestWrongInputsAreAnsweredAsSaid(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	t.Run("the exporter", func(t *testing.T) {
		for _, tt := range []struct {
			module, target string
			code           int
			says           string
		}{
			{"mssql_availability", "hv-lab/SQL01/MSSQLSERVER", 200, "probe_success"},
			{"mssql_availability", "hv-lab/SQL99/MSSQLSERVER", 404, "unknown target"},
			{"mssql_availability", "evil.example:1433", 404, "unknown target"},
			{"wsfc", "hv-lab/HV1", 404, "unknown target"},
			{"no_such_module", "hv-lab", 400, "unknown module"},
			{"", "hv-lab", 400, "module is missing"},
			{"wsfc", "", 404, "target is missing"},
		} {
			code, body := fetch(t, p.exporter+"/probe?"+url.Values{"module": {tt.module}, "target": {tt.target}}.Encode())
			if code != tt.code || !strings.Contains(body, tt.says) {
				t.Errorf("/probe of %q by %q = %d %.200s, want %d and %q", tt.target, tt.module, code, body, tt.code, tt.says)
			}
		}
	})
	t.Run("the webhook", func(t *testing.T) { p.webhookAnswers(t) })
}

// webhookAnswers sends what must never get through, byte by byte: a client library would mend some of it.
func (p pair) webhookAnswers(t *testing.T) {
	const good = `{"version":"4","groupKey":"g","receiver":"r","alerts":[]}`
	right := "Authorization: Bearer " + p.token
	for _, tt := range []struct {
		name, method, path, header, body string
		want                             int
	}{
		{"a good one", "POST", "/webhook", right, good, 202},
		{"malformed", "POST", "/webhook", right, `{"version":"4","alerts":[`, 400},
		{"no JSON at all", "POST", "/webhook", right, "alerts=yes", 400},
		{"another version", "POST", "/webhook", right, strings.Replace(good, `"4"`, `"3"`, 1), 400},
		{"a wrong token", "POST", "/webhook", right + "x", good, 401},
		{"no token", "POST", "/webhook", "X-Nothing: 1", good, 401},
		{"another scheme", "POST", "/webhook", "Authorization: Basic " + p.token, good, 401},
		{"over 1 MiB", "POST", "/webhook", right, good + strings.Repeat(" ", 1<<20), 413},
		{"GET", "GET", "/webhook", right, "", 405},
		{"redirect bait //webhook", "POST", "//webhook", right, good, 404},
		{"redirect bait /webhook/", "POST", "/webhook/", right, good, 404},
		{"redirect bait /x/../webhook", "POST", "/x/../webhook", right, good, 404},
		{"redirect bait /./webhook", "POST", "/./webhook", right, good, 404},
		{"redirect bait /webhook/..;/webhook", "POST", "/webhook/..;/webhook", right, good, 404},
		{"compressed", "POST", "/webhook", right + "\r\nContent-Encoding: gzip", good, 415},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, location := raw(t, p.webhook, tt.method, tt.path, tt.header, tt.body)
			if code != tt.want || location != "" {
				t.Errorf("%s %s = %d, Location %q; want %d and none", tt.method, tt.path, code, location, tt.want)
			}
			if code/100 == 3 || code == http.StatusTooManyRequests {
				t.Errorf("%s %s = %d, which Alertmanager takes for a loss", tt.method, tt.path, code)
			}
		})
	}
}

// raw sends a request as it stands.
func raw(t *testing.T, address, method, path, header, body string) (code int, location string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// What is too long is answered before it has been read: the rest of the write may fail.
	_, _ = fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n\r\n%s",
		method, path, address, len(body), header, body)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Location")
}

// TestANodeThatAnswersGarbageIsClassified: its probe is answered, unsuccessful, with one reason; the others are not
// disturbed.
func TestANodeThatAnswersGarbageIsClassified(t *testing.T) {
	t.Parallel()
	garbage, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { garbage.Close() })
	go func() {
		for {
			c, err := garbage.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write(bytes.Repeat([]byte("\x00garbage\xff"), 100)) // it may have hung up
			c.Close()
		}
	}()
	p := startPair(t, func(text string) string {
		return regexp.MustCompile(`(name: HV1, addresses: \[)"[^"]*"`).ReplaceAllString(text, `${1}"`+garbage.Addr().String()+`"`)
	})
	code, body := fetch(t, p.exporter+"/probe?module=hyperv&target=hv-lab%2FHV1")
	if code != http.StatusOK || !strings.Contains(body, `probe_success{cluster="hv-lab",node="HV1"} 0`) {
		t.Errorf("probe of HV1 = %d, want 200 and probe_success 0:\n%s", code, body)
	}
	reasons := regexp.MustCompile(`(?m)^probe_failure_reason\{[^}]*reason="([a-z_]+)"\} 1$`).FindAllStringSubmatch(body, -1)
	if len(reasons) == 0 {
		t.Errorf("no reason is told:\n%s", body)
	}
	for _, r := range reasons {
		if r[1] != "tls" && r[1] != "protocol" {
			t.Errorf("reason %q, want tls or protocol: what came is no TLS", r[1])
		}
	}
	for _, line := range strings.Split(body, "\n") {
		if strings.HasPrefix(line, "hyperv_vm_") {
			t.Errorf("something is told of a virtual machine: %s", line)
		}
	}
	if code, body := fetch(t, p.exporter+"/probe?module=hyperv&target=hv-lab%2FHV2"); code != 200 || !strings.Contains(body, `probe_success{cluster="hv-lab",node="HV2"} 1`) {
		t.Errorf("probe of HV2 = %d, want it undisturbed:\n%.1000s", code, body)
	}
	if code, body := fetch(t, p.exporter+"/probe?module=wsfc&target=hv-lab"); code != 200 || !strings.Contains(body, `probe_collector_success{cluster="hv-lab",collector="cluster"} 1`) {
		t.Errorf("probe of the cluster = %d, want another node to answer for it:\n%.1000s", code, body)
	}
}

// TestConfigCheckNamesWhatIsWrong: file, line, field; a secret that cannot be read by the program that uses it, and
// by that one alone.
func TestConfigCheckNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	l, err := lab.Start(lab.Options{Dir: t.TempDir(), Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ours := stage.Ours(bin)
	exporter := func(file string) []string { return []string{ours.Exporter, "--config.file=" + file, "--config.check"} }
	receiver := func(file string) []string { return []string{ours.Receiver, "--config.file=" + file, "--config.check"} }
	ctl := func(file string) []string { return []string{ours.Ctl, "config", "check", file} }
	config := func(t *testing.T, edit func(string) string) string {
		path, err := l.Config(lab.ConfigOptions{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		rewrite(t, path, edit)
		return path
	}
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for _, tt := range []struct {
		name     string
		edit     func(string) string
		programs []func(string) []string
		says     []string // nothing: it is good
	}{
		{"as it is", nil, []func(string) []string{exporter, receiver, ctl}, nil},
		{
			"an unknown field", replace("    guest_operator:", "    colour: blue\n    guest_operator:"),
			[]func(string) []string{exporter, receiver, ctl},
			[]string{"hypervigil.yml:LINE: clusters[0].colour: unknown field"},
		},
		{
			"a password file that is not there", replace("sql-monitor.pass", "gone.pass"),
			[]func(string) []string{exporter, receiver},
			[]string{"gone.pass", "sql-monitor"},
		},
		{
			"a password file that cannot be read: a folder", func(s string) string {
				return regexp.MustCompile(`password_file: "(.*)/winrm-reader.pass"`).ReplaceAllString(s, `password_file: "$1"`)
			},
			[]func(string) []string{exporter, receiver},
			[]string{"is a directory", "winrm-reader"},
		},
		{"an operator's password that only the receiver needs, missing for the exporter", replace("winrm-operator.pass", "gone.pass"), []func(string) []string{exporter}, nil},
		{
			"an operator's password that only the receiver needs, missing for the receiver", replace("winrm-operator.pass", "gone.pass"),
			[]func(string) []string{receiver},
			[]string{"gone.pass", "winrm-operator"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := config(t, tt.edit)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			before, _, _ := strings.Cut(string(text), "colour")
			line := strconv.Itoa(strings.Count(before, "\n") + 1)
			for _, program := range tt.programs {
				argv := program(file)
				out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
				if (err == nil) != (tt.says == nil) {
					t.Errorf("%q: %v\n%s", argv, err, out)
				}
				for _, what := range tt.says {
					what = strings.Replace(what, "LINE", line, 1)
					if !strings.Contains(string(out), what) {
						t.Errorf("%q does not say %q:\n%s", argv, what, out)
					}
				}
			}
		})
	}
}
