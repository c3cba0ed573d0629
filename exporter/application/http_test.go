package application

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// serve is an HTTPS server and what trusts it.
func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s, &tls.Config{RootCAs: pool}
}

func TestGetter(t *testing.T) {
	t.Parallel()
	elsewhere := 0
	s, trust := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/sick":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/elsewhere":
			elsewhere++
		case "/large":
			for n := 0; n < 1000; n++ {
				if _, err := w.Write(make([]byte, maxBody)); err != nil {
					return // the client has read enough
				}
			}
		}
	})
	for path, want := range map[string]int{"/": 200, "/sick": 503, "/moved": 302, "/large": 200} {
		a, err := NewGetter(trust, nil)(t.Context(), s.URL+path)
		if err != nil || a.Status != want || a.Took <= 0 || !a.Expiry.Equal(s.Certificate().NotAfter) {
			t.Errorf("%s = %+v, %v; want status %d", path, a, err, want)
		}
	}
	if elsewhere != 0 {
		t.Error("the redirection was followed")
	}
}

// TestGetterClassifies: each way of not answering has its reason, within the time there is, and no error repeats the URL.
func TestGetterClassifies(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	s, trust := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/trickle":
			w.Header().Set("Content-Length", "1000")
			for range 1000 {
				fmt.Fprint(w, "x")
				w.(http.Flusher).Flush()
				select {
				case <-time.After(50 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
		case "/header":
			w.Header().Set("X-Large", strings.Repeat("x", 2*maxHeader))
		}
	})
	t.Cleanup(func() { close(hang) })
	plain, err := net.Listen("tcp", "127.0.0.1:0") // accepts and keeps silent
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	const secret = "?token=hunter2"
	for name, tc := range map[string]struct {
		url   string
		trust *tls.Config
		want  dial.Reason
	}{
		"nobody listens":          {"https://" + closed.Addr().String() + "/", trust, dial.Refused},
		"a certificate of nobody": {s.URL + "/", &tls.Config{RootCAs: x509.NewCertPool()}, dial.TLS},
		"silence before TLS":      {"https://" + plain.Addr().String() + "/", trust, dial.TLSTimeout},
		"silence after TLS":       {s.URL + "/silent", trust, dial.QueryTimeout},
		"a body that trickles":    {s.URL + "/trickle", trust, dial.QueryTimeout},
		"a header without end":    {s.URL + "/header", trust, dial.Protocol},
		"HTTP where TLS is":       {"http://" + s.Listener.Addr().String() + "/silent", trust, dial.Answered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			a, err := NewGetter(tc.trust, nil)(ctx, tc.url+secret)
			if tc.want == dial.Answered {
				if err != nil || a.Status != http.StatusBadRequest {
					t.Errorf("= %+v, %v; want the server's own word about it", a, err)
				}
				return
			}
			if got := probe.Reason(err); got != tc.want {
				t.Errorf("%+v: reason of %v = %q, want %q", a, err, got, tc.want)
			}
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("the error repeats the URL: %v", err)
			}
		})
	}
}
