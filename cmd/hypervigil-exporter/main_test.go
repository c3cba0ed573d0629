package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test binary the program itself.
const asProgram = "HYPERVIGIL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "1" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience bounds whatever a test waits for.
const patience = 30 * time.Second

// command is the program with arguments.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// configuration writes a hypervigil.yml of one cluster whose machines do not exist, and returns its path and text.
func configuration(t *testing.T) (path, text string) {
	t.Helper()
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	write(t, password, "hunter2")
	path = filepath.Join(dir, "hypervigil.yml")
	text = fmt.Sprintf(`credentials:
  reader: {username: r, password_file: %q}
clusters:
  - name: hv-cl1
    reader: reader
    nodes:
      - {name: HV1, addresses: ["127.0.0.1:1"]}
    virtual_machines:
      - name: SQL01
        sql_servers:
          - {instance: MSSQLSERVER, address: "127.0.0.1:1", credential: reader}
`, password)
	write(t, path, text)
	return path, text
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestConfigCheck shows what --config.check says and exits with.
func TestConfigCheck(t *testing.T) {
	t.Parallel()
	good, text := configuration(t)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		write(t, path, content)
		return path
	}
	for _, tt := range []struct {
		name string
		args []string
		says string // on standard error; empty where the file is good
	}{
		{"good", []string{"--config.file", good}, ""},
		{
			"unknown field",
			[]string{"--config.file", file("field.yml", strings.Replace(text, "- name: SQL01", "- name: SQL01\n        colour: red", 1))},
			"field.yml:10: clusters[0].virtual_machines[0].colour: unknown field",
		},
		{
			"module of a later release",
			[]string{"--config.file", file("module.yml", text+"exporter: {modules: {scvmm: {prober: scvmm}}}\n")},
			`exporter.modules.scvmm.prober: "scvmm" is not allowed; use mssql, hyperv, wsfc, guest or application`,
		},
		{
			"unreadable password",
			[]string{"--config.file", file("password.yml", strings.Replace(text, "password_file: \"", "password_file: \"/nowhere", 1))},
			`password of the credential "reader": open /nowhere`,
		},
		{"missing file", []string{"--config.file", filepath.Join(dir, "none.yml")}, "none.yml: no such file or directory"},
		{"empty file", []string{"--config.file", file("empty.yml", "")}, "the file is empty"},
		{"web configuration", []string{"--config.file", good, "--web.config.file", file("web.yml", "colour: red\n")}, "field colour not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, append(tt.args, "--config.check")...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if tt.says == "" {
				if err != nil || string(out) != good+" is good for hypervigil-exporter\n" || stderr.Len() != 0 {
					t.Errorf("%v, %q, %q", err, out, stderr.String())
				}
				return
			}
			if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), tt.says) || len(out) != 0 {
				t.Errorf("exit %d, %q, %q; want 1 and %q", cmd.ProcessState.ExitCode(), out, stderr.String(), tt.says)
			}
		})
	}
}

// running is the program as a process.
type running struct {
	cmd     *exec.Cmd
	address string
	lines   chan string // of its log; closed when it ends
}

// run starts the program on a port of its own and waits until it listens.
func run(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{cmd: command(t, append(args, "--web.listen-address", "127.0.0.1:0")...), lines: make(chan string, 1000)}
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(r.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // unless it has ended
		<-ended
		_ = r.cmd.Wait()
	})
	line := r.wantLine(t, `msg="Listening on"`)
	r.address = regexp.MustCompile(`address=(\S+)`).FindStringSubmatch(line)[1]
	return r
}

// wantLine waits for a line of the log.
func (r *running) wantLine(t *testing.T, part string) string {
	t.Helper()
	var all []string
	for line := range r.lines {
		if all = append(all, line); strings.Contains(line, part) {
			return line
		}
	}
	t.Fatalf("the program ended without %q in its log:\n%s", part, strings.Join(all, "\n"))
	return ""
}

// get asks a page.
func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestServe starts the program, reloads it by signal with a file that is good and one that is not, and stops it.
func TestServe(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signal to reload by; POST /-/reload does it there")
	}
	path, text := configuration(t)
	r := run(t, "--config.file", path)
	base := "http://" + r.address
	want := func(page string, code int, says string) {
		t.Helper()
		if got, body := get(t, http.DefaultClient, base+page); got != code || !strings.Contains(body, says) {
			t.Errorf("%s: %d %s, want %d and %q", page, got, body, code, says)
		}
	}
	reload := func(content, line string) {
		t.Helper()
		write(t, path, content)
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.wantLine(t, line)
	}
	const ok = "hypervigil_exporter_config_last_reload_successful "
	want("/-/ready", 200, "ready")
	want("/metrics", 200, ok+"1")
	want("/metrics", 200, "process_start_time_seconds ")
	want("/probe?module=mssql_availability&target=hv-cl1/SQL01/MSSQLSERVER", 200, `reason="tcp_refused",sql_instance="MSSQLSERVER",vm="SQL01"} 1`)
	reload(strings.Replace(text, "name: SQL01", "name: SQL02\n        colour: red", 1), "hypervigil.yml:10: clusters[0].virtual_machines[0].colour: unknown field")
	want("/metrics", 200, ok+"0")
	want("/sd?module=mssql_availability", 200, "hv-cl1/SQL01/MSSQLSERVER")
	reload(strings.Replace(text, "name: SQL01", "name: SQL02", 1), `msg="configuration loaded"`)
	want("/metrics", 200, ok+"1")
	want("/sd?module=mssql_availability", 200, "hv-cl1/SQL02/MSSQLSERVER")
	http.DefaultClient.CloseIdleConnections()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.wantLine(t, `msg="program stops"`)
	for line := range r.lines {
		t.Errorf("after the stop: %s", line)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("stopped by SIGTERM: %v, want exit 0", err)
	}
}

// TestServeTLS has the listener's certificate from --web.config.file.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	path, _ := configuration(t)
	dir := t.TempDir()
	roots := certificate(t, dir)
	write(t, filepath.Join(dir, "web.yml"), "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
	r := run(t, "--config.file", path, "--web.config.file", filepath.Join(dir, "web.yml"))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	if code, body := get(t, &http.Client{Transport: transport}, "https://"+r.address+"/-/ready"); code != 200 {
		t.Errorf("over TLS: %d %s", code, body)
	}
	if code, _ := get(t, http.DefaultClient, "http://"+r.address+"/-/ready"); code != 400 {
		t.Errorf("in clear: %d, want 400", code)
	}
	// The HTTP server's own complaints are lines of the one log.
	if line := r.wantLine(t, "client sent an HTTP request to an HTTPS server"); !strings.HasPrefix(line, "level=warn ") {
		t.Errorf("logged as %q", line)
	}
}

// TestPortInUse ends with an error, not with a program that serves nothing.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	path, _ := configuration(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := command(t, "--config.file", path, "--web.listen-address", l.Addr().String()).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "web listener: listen tcp") {
		t.Errorf("%v: %s", err, out)
	}
}

// certificate writes a certificate for 127.0.0.1 as cert.pem and key.pem.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	write(t, filepath.Join(dir, "cert.pem"), string(block))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(block)
	return pool
}
