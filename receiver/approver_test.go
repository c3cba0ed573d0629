package receiver

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/console"
)

// TestOnlyAnApproversOwnProofApproves: neither the webhook's token nor the web listener's own password, nor a name that
// nobody has verified, makes anybody an approver.
func TestOnlyAnApproversOwnProofApproves(t *testing.T) {
	t.Parallel()
	file := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const adas, webhooks = "ada-knows-this", "alertmanager-knows-this"
	cfg := config.Default()
	cfg.Receiver.Webhook.TokenFile = file("webhook", webhooks)
	cfg.Receiver.Approvers = []*config.Approver{
		{Name: "ada", TokenFile: file("ada", adas+"\n"), Certificate: "ada.corp.example"},
		{Name: "bob", TokenFile: filepath.Join(t.TempDir(), "missing")},
		{Name: "eve", Certificate: "eve.corp.example"},
	}
	r := &Receiver{}
	r.config.Store(cfg)
	certificate := func(name string, verified bool) func(*http.Request) {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
		return func(q *http.Request) {
			q.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
			if verified {
				q.TLS.VerifiedChains = [][]*x509.Certificate{{c}}
			}
		}
	}
	header := func(name, value string) func(*http.Request) {
		return func(q *http.Request) { q.Header.Set(name, value) }
	}
	for name, tt := range map[string]struct {
		shown func(*http.Request)
		want  string
	}{
		"ada's token":                      {header(console.ApprovalHeader, adas), "ada"},
		"ada's certificate":                {certificate("ada.corp.example", true), "ada"},
		"eve's certificate":                {certificate("eve.corp.example", true), "eve"},
		"a certificate nobody verified":    {certificate("eve.corp.example", false), ""},
		"somebody else's certificate":      {certificate("mallory.corp.example", true), ""},
		"a certificate without a name":     {certificate("", true), ""},
		"nothing":                          {func(*http.Request) {}, ""},
		"an empty token":                   {header(console.ApprovalHeader, ""), ""},
		"a wrong token":                    {header(console.ApprovalHeader, "ada-knows-thiz"), ""},
		"a part of the token":              {header(console.ApprovalHeader, adas[:5]), ""},
		"the webhook's token":              {header(console.ApprovalHeader, webhooks), ""},
		"ada's token as a bearer token":    {header("Authorization", "Bearer "+adas), ""},
		"the listener's password for ada":  {func(q *http.Request) { q.SetBasicAuth("ada", adas) }, ""},
		"an approver's name and no secret": {header(console.ApprovalHeader, "ada"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
			tt.shown(q)
			got, err := r.approver(q)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("approver = %q, %v; want %q", got, err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), adas) || strings.Contains(err.Error(), webhooks)) {
				t.Errorf("the answer tells a secret: %v", err)
			}
		})
	}
	none := &Receiver{}
	none.config.Store(config.Default())
	if _, err := none.approver(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)); err == nil {
		t.Error("somebody may approve although receiver.approvers is empty")
	}
}
