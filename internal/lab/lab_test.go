package lab_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/servetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func startLab(t *testing.T) *lab.Lab {
	t.Helper()
	l, err := lab.Start(lab.Options{Dir: t.TempDir(), Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// knock tells how an address meets a client: answers, refuses or stays silent at the SYN.
func knock(t *testing.T, address string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	switch {
	case err == nil:
		c.Close()
		return "accepts"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "silent"
	}
	return err.Error()
}

func TestEachFaultAsAClientSeesIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault            string
		host, guest, sql string
	}{
		{model.ServiceCrash, "accepts", "accepts", "refuses"},
		{model.ServiceStop, "accepts", "accepts", "refuses"},
		{model.SQLHang, "accepts", "accepts", "accepts"},
		{model.GuestCrash, "accepts", "silent", "silent"},
		{model.GuestHang, "accepts", "accepts", "accepts"},
		{model.HostPowerOff, "silent", "silent", "silent"},
		{model.LANBoard, "accepts", "silent", "silent"},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			l := startLab(t)
			for _, a := range []string{"HV1", "SQL01", "SQL01/MSSQLSERVER"} {
				if got := knock(t, l.Address(a)); got != "accepts" {
					t.Fatalf("before, %s %s", a, got)
				}
			}
			in, err := l.Inject(model.Request{Fault: tt.fault, VM: "SQL01"})
			if err != nil {
				t.Fatal(err)
			}
			for a, want := range map[string]string{"HV1": tt.host, "SQL01": tt.guest, "SQL01/MSSQLSERVER": tt.sql, "SQL02/MSSQLSERVER": "accepts"} {
				if got := knock(t, l.Address(a)); got != want {
					t.Errorf("%s %s, want %s", a, got, want)
				}
			}
			if !l.Heal(in.ID) {
				t.Error("the fault did not heal")
			}
		})
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	code, body := servetest.Ask(t, "POST", l.ControlURL()+"/faults", `{"fault":"service-crash","vm":"SQL03","instance":"REPORTING"}`)
	var in struct{ ID, At string }
	if err := json.Unmarshal([]byte(body), &in); err != nil || code != 201 || in.ID == "" {
		t.Fatalf("POST /faults = %d %s", code, body)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", in.At); err != nil {
		t.Errorf("at = %q, want RFC 3339 in UTC with milliseconds", in.At)
	}
	_, body = servetest.Ask(t, "GET", l.ControlURL()+"/state", "")
	for _, want := range []string{`"nodes":[{"name":"HV1","state":"up"}`, `{"vm":"SQL01","owner":"HV1","state":"online"}`, `"instance":"REPORTING","up":false,"since":"`} {
		if !strings.Contains(body, want) {
			t.Errorf("/state lacks %s: %s", want, body)
		}
	}
	_, body = servetest.Ask(t, "GET", l.ControlURL()+"/counters", "")
	if want := `"SQL03":{"commands":[],"moves_commanded":[],"failovers_by_cluster":[],"restarts_by_cluster":[],"service_starts":[],"vm_resets":[],"moved":[]}`; !strings.Contains(body, want) {
		t.Errorf("/counters lacks %s: %s", want, body)
	}
	for _, bad := range []string{`{"fault":"meteor","vm":"SQL01"}`, `{"fault":"service-crash","vm":"SQL77"}`, `{"what":1}`, `{}{}`, ``} {
		if code, body := servetest.Ask(t, "POST", l.ControlURL()+"/faults", bad); code != 400 || !strings.Contains(body, "error") {
			t.Errorf("POST /faults %s = %d %s, want 400 and why", bad, code, body)
		}
	}
	if code, _ := servetest.Ask(t, "DELETE", l.ControlURL()+"/faults/"+in.ID, ""); code != 204 {
		t.Errorf("DELETE = %d, want 204", code)
	}
	if code, _ := servetest.Ask(t, "DELETE", l.ControlURL()+"/faults/"+in.ID, ""); code != 404 {
		t.Errorf("the second DELETE = %d, want 404", code)
	}
}

func TestConfigIsAHypervigilYML(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	path, err := l.Config(lab.ConfigOptions{HoldOff: 5 * time.Second, Policy: "      limits: {hold: 5s}\n"})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.CheckReceiver(); err != nil {
		t.Error(err)
	}
	if err := cfg.CheckExporter(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("DC01")) {
		t.Error("the domain controller is inventoried; nothing may watch it")
	}
}

// TestTLSIsTheLabsOwn: a client that trusts the lab's authority, and only such a one, gets through.
func TestTLSIsTheLabsOwn(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	pem, err := os.ReadFile(l.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the authority's file holds no certificate")
	}
	for name, roots := range map[string]*x509.CertPool{"trusted": pool, "untrusted": x509.NewCertPool()} {
		d := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: "SQL01", MinVersion: tls.VersionTLS12}}
		c, err := d.DialContext(t.Context(), "tcp", l.Address("SQL01"))
		if (err == nil) != (name == "trusted") {
			t.Errorf("%s client: %v", name, err)
		}
		if err == nil {
			c.Close()
		}
	}
}
