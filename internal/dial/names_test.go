package dial

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
)

// TestTheLastGoodResolutionIsUsedWhereTheNameServerFails: by an error and by silence, until the name server answers
// again, or says that there is no such name.
func TestTheLastGoodResolutionIsUsedWhereTheNameServerFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		names := NewNames(log.NewLogfmtLogger(&out))
		f := &fakeNet{addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
		connect := func() (Reason, time.Duration) {
			tracker := names.NewTracker()
			tracker.resolver, tracker.dialer = f, f
			ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
			defer cancel()
			began := time.Now()
			c, err := tracker.DialContext(ctx, "tcp", "sql01.corp.example:1433")
			if err != nil {
				return Classify(ctx, tracker, err), time.Since(began)
			}
			c.Close()
			return Answered, time.Since(began)
		}
		want := func(when string, reason Reason, stale ...string) {
			t.Helper()
			if got, took := connect(); got != reason || took > 300*time.Millisecond && reason == Answered {
				t.Errorf("%s: %q after %s, want %q", when, got, took, reason)
			}
			if got := names.Stale(); !slices.Equal(got, stale) {
				t.Errorf("%s: stale names %q, want %q", when, got, stale)
			}
		}
		const host = "sql01.corp.example"
		failure := &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
		f.dnsErr = failure
		want("a failure before any answer", DNS)
		f.dnsErr = nil
		want("an answer", Answered)
		f.dnsErr = failure
		want("a failure after it", Answered, host)
		f.silent = true
		want("silence after it", Answered, host)
		f.silent, f.dnsErr = false, nil
		want("an answer again", Answered)
		for message, n := range map[string]int{"name not resolved, last addresses used": 1, "name resolved again": 1} {
			if got := strings.Count(out.String(), message); got != n {
				t.Errorf("%q is logged %d times, want %d:\n%s", message, got, n, out.String())
			}
		}
		f.dnsErr = failure
		time.Sleep(maxStale + time.Second)
		want("a failure a day later", DNS)
		f.dnsErr = nil
		want("an answer once more", Answered)
		f.dnsErr = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		want("no such name", DNS)
		f.dnsErr = failure
		want("a failure after that", DNS)
		for _, a := range f.dialed {
			if a != "192.0.2.1:1433" {
				t.Errorf("dialled %s", a)
			}
		}
	})
}

// TestTheRecordsOfAServiceAreRememberedToo: where the KDCs of a realm are.
func TestTheRecordsOfAServiceAreRememberedToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		names := NewNames(log.NewLogfmtLogger(&out))
		records := []*net.SRV{{Target: "dc1.corp.example.", Port: 88}}
		const key, host = "srv x", "_kerberos._tcp.CORP.EXAMPLE"
		var failure error
		ask := func() ([]*net.SRV, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return remembered(ctx, names, key, host, func(context.Context) ([]*net.SRV, error) {
				if failure != nil {
					return nil, failure
				}
				return records, nil
			})
		}
		failure = &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
		if got, err := ask(); err == nil {
			t.Errorf("before any answer: %v", got)
		}
		failure = nil
		if _, err := ask(); err != nil {
			t.Fatal(err)
		}
		failure = &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
		got, err := ask()
		if err != nil || len(got) != 1 || got[0].Target != "dc1.corp.example." {
			t.Errorf("after an answer: %v, %v", got, err)
		}
		if got := names.Stale(); !slices.Equal(got, []string{host}) {
			t.Errorf("stale names %q", got)
		}
		if !strings.Contains(out.String(), "dc1.corp.example.:88") {
			t.Errorf("the log does not tell the records: %s", out.String())
		}
		failure = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		if got, err := ask(); err == nil {
			t.Errorf("a realm without KDCs: %v", got)
		}
	})
}
