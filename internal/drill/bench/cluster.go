package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-kit/log"
	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// serveCluster serves the hosts of the largest cluster until ctx ends.
func serveCluster(ctx context.Context, dir string) (err error) {
	ca, err := lab.NewAuthority(dir)
	if err != nil {
		return err
	}
	certificate, err := ca.Issue("HV")
	if err != nil {
		return err
	}
	password := rand.Text()
	s := served{CA: ca.File(), Password: filepath.Join(dir, passwordFile)}
	if err := os.WriteFile(s.Password, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	origin, err := wsmanserver.New(wsmanserver.Options{
		Logger: log.NewNopLogger(), Provider: largest{}, TLS: certificate, ProductVendor: lab.Vendor, ProductVersion: "OS: 10.0.20348 SP: 0.0 Stack: 3.0",
		Authenticate: func(u, p string) bool { return u == username && p == password },
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, origin.Close())
	}
	g.Go(func() error { return origin.Serve(l) })
	front := &http.Server{
		Handler: newReplay(l.Addr().String(), username, password), TLSConfig: certificate, ReadHeaderTimeout: time.Minute, ErrorLog: stdlog.New(io.Discard, "", 0),
	}
	for range largeNodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return errors.Join(err, origin.Close(), front.Close())
		}
		s.Addresses = append(s.Addresses, l.Addr().String())
		g.Go(func() error {
			if err := front.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		return errors.Join(front.Close(), origin.Close())
	})
	if err := announce(dir, s); err != nil {
		return errors.Join(err, origin.Close(), front.Close())
	}
	return g.Wait()
}

// largeConfig writes a hypervigil.yml of the cluster with time enough for the hosts' first answers.
func largeConfig(dir string, s served) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "credentials:\n  reader: {username: %s, password_file: %q, scheme: basic}\nclusters:\n  - name: %s\n    reader: reader\n    tls: {ca_file: %q}\n    nodes:\n", username, s.Password, largeName, s.CA)
	for i, address := range s.Addresses {
		fmt.Fprintf(&b, "      - {name: %s, addresses: [%q]}\n", largeNode(i), address)
	}
	b.WriteString("    virtual_machines:\n")
	for i := range largeOurs {
		fmt.Fprintf(&b, "      - {name: %s}\n", largeVM(i))
	}
	b.WriteString("exporter:\n  modules:\n    wsfc: {timeout: 5m}\n    wsfc_owners: {timeout: 5m}\n")
	path := filepath.Join(dir, "hypervigil.yml")
	return path, os.WriteFile(path, []byte(b.String()), 0o600)
}

// clusterScrapes is how often each module is measured, after one scrape that also warms the hosts.
const clusterScrapes = 10

// benchCluster scrapes the largest cluster through the exporter as it is shipped, in a process of its own.
func benchCluster(ctx context.Context, b *bench) (outcome, error) {
	dir, err := b.folder("cluster")
	if err != nil {
		return outcome{}, err
	}
	peers, s, err := startPeers(ctx, dir, "serve-cluster")
	if err != nil {
		return outcome{}, err
	}
	defer peers.Stop()
	config, err := largeConfig(dir, s)
	if err != nil {
		return outcome{}, err
	}
	var o outcome
	for _, module := range []string{"wsfc", "wsfc_owners"} {
		if err := benchModule(ctx, b, dir, config, module, &o); err != nil {
			return o, err
		}
	}
	o.Samples = clusterScrapes
	o.Note = fmt.Sprintf("%d of the machines in the inventory; every node is asked; the hosts answer from memory, in a process of their own on the same processors; wsfc_owners asks for the owners of the machines in the inventory, one question for each", largeOurs)
	return o, nil
}

func benchModule(ctx context.Context, b *bench, dir, config, module string, o *outcome) error {
	// The first exporter makes the hosts render their answers; what it needs for that is not measured.
	var took []float64
	var lines int
	var cpu time.Duration
	var peak float64
	for life := range 2 {
		p, base, err := startExporter(ctx, b, dir, config)
		if err != nil {
			return err
		}
		n := 1
		if life == 1 {
			n = clusterScrapes
		}
		before, err := usageOf(p.PID())
		for range n {
			if err != nil {
				break
			}
			began := time.Now()
			lines, err = scrapeLines(ctx, base, module)
			if life == 1 {
				took = append(took, time.Since(began).Seconds())
			}
		}
		var after usage
		if err == nil {
			after, err = usageOf(p.PID())
		}
		cpu, peak = (after.cpu-before.cpu)/time.Duration(n), after.peak
		p.Stop()
		if err != nil {
			return fmt.Errorf("%s: %w", module, err)
		}
	}
	o.Figures = append(
		o.Figures,
		atMost(module+": answer, median", median(took), "s", 2),
		fact(module+": answer, longest", percentile(took, 100), "s"),
		fact(module+": processor time each", cpu.Seconds(), "s"),
		atMost(module+": resident memory, peak", peak, "MB", 150),
		atMost(module+": series", float64(lines), "", 80_000),
	)
	return nil
}

// scrapeLines scrapes the cluster once and counts the series.
func scrapeLines(ctx context.Context, base, module string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/probe?"+url.Values{"module": {module}, "target": {largeName}}.Encode(), nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if ok := []byte("\nprobe_success{cluster=\"" + largeName + "\"} 1\n"); resp.StatusCode != http.StatusOK || !bytes.Contains(body, ok) {
		var reasons []string
		for line := range strings.Lines(string(body)) {
			if strings.HasPrefix(line, "probe_failure_reason") && strings.HasSuffix(line, " 1\n") {
				reasons = append(reasons, strings.TrimSpace(line))
			}
		}
		return 0, fmt.Errorf("the scrape failed: %d %s", resp.StatusCode, strings.Join(reasons, "; "))
	}
	n := 0
	for line := range bytes.Lines(body) {
		if line[0] != '#' {
			n++
		}
	}
	return n, nil
}
