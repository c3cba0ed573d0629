// Package servetest runs a server for a test and asks it: on loopback, from the test's beginning to its end.
package servetest

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Listen runs serve on a free port of loopback and returns the address. At the test's end serve's context ends, and the
// test fails unless serve returns nil then. What the test registers for its end later is done before that.
func Listen(t testing.TB, serve func(context.Context, net.Listener) error) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server returned %v, want nil after its context ended", err)
		}
	})
	return l.Addr().String()
}

// Ask sends a request over HTTP and returns the answer's status and body; header lists names and values in turn. An
// answer that does not come, or not whole, ends the test.
func Ask(t testing.TB, method, url, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return Send(t, r)
}

// Send is Ask with a request that the test has made.
func Send(t testing.TB, r *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
