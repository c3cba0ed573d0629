package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// The samples of the probe's row: pairs for the time, each a probe and a bare login right after each other in changing
// order; blocks for the processor time, which is read before and after many of one kind, the garbage they made included.
const (
	probePairs  = 2000
	probeBlocks = 40
	probeBlock  = 50
	probeGoal   = 1.2
)

// benchProbe compares what a scrape of mssql_availability takes with what the driver alone takes to log in over TLS and
// ask the same. The SQL Server is another process; both kinds run in this one.
func benchProbe(ctx context.Context, b *bench) (outcome, error) {
	dir, err := b.folder("probe")
	if err != nil {
		return outcome{}, err
	}
	peers, s, err := startPeers(ctx, dir, "serve-sql", "--count=1")
	if err != nil {
		return outcome{}, err
	}
	defer peers.Stop()
	path, err := fleetConfig(dir, s, 1)
	if err != nil {
		return outcome{}, err
	}
	e, err := exporter.New(exporter.Options{ConfigFile: path, Logger: log.NewNopLogger(), Registry: prometheus.NewRegistry()})
	if err != nil {
		return outcome{}, err
	}
	defer e.Close(context.WithoutCancel(ctx))
	bare, err := newBareDriver(s)
	if err != nil {
		return outcome{}, err
	}
	kinds := [2]func(context.Context) error{bare.ask, newProber(e.Handler()).ask}
	for range 50 { // caches that fill once
		for _, do := range kinds {
			if err := do(ctx); err != nil {
				return outcome{}, err
			}
		}
	}
	var took [2][]float64 // milliseconds
	var ratios []float64
	for pair := range probePairs {
		var now [2]float64
		for i := range 2 {
			k := (pair + i) % 2
			began := time.Now()
			if err := kinds[k](ctx); err != nil {
				return outcome{}, err
			}
			now[k] = float64(time.Since(began)) / 1e6
			took[k] = append(took[k], now[k])
		}
		ratios = append(ratios, now[1]/now[0])
	}
	cpu, err := probeCPU(ctx, kinds)
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		Samples: probePairs,
		Figures: []figure{
			fact("bare driver: login and query, median", median(took[0]), "ms"),
			fact("probe, median", median(took[1]), "ms"),
			fact("bare driver, 99th percentile", percentile(took[0], 99), "ms"),
			fact("probe, 99th percentile", percentile(took[1], 99), "ms"),
			atMost("time, median of the pairs' ratios", median(ratios), "×", probeGoal),
			fact("bare driver, processor time each", cpu[0], "ms"),
			fact("probe, processor time each", cpu[1], "ms"),
			atMost("processor time", cpu[1]/cpu[0], "×", probeGoal),
		},
		Note: fmt.Sprintf("processor time over another %d of each in alternating blocks of %d; TDS 8.0 over loopback, the server in a process of its own", probeBlocks*probeBlock, probeBlock),
	}, nil
}

// probeCPU is the processor time in milliseconds that one of each kind takes.
func probeCPU(ctx context.Context, kinds [2]func(context.Context) error) (each [2]float64, err error) {
	var spent [2]time.Duration
	for block := range 2 * probeBlocks {
		k := (block + block/2) % 2 // 0 1 1 0 0 1 1 0
		runtime.GC()
		before, err := ownCPU()
		if err != nil {
			return each, err
		}
		for range probeBlock {
			if err := kinds[k](ctx); err != nil {
				return each, err
			}
		}
		runtime.GC()
		after, err := ownCPU()
		if err != nil {
			return each, err
		}
		spent[k] += after - before
	}
	for k := range each {
		each[k] = float64(spent[k]) / 1e6 / (probeBlocks * probeBlock)
	}
	return each, nil
}

// prober scrapes the one target as Prometheus would every second. It keeps its request and what it is answered into from
// scrape to scrape, as a server keeps its buffers: the making of them is not the handler's.
type prober struct {
	handler http.Handler
	request *http.Request
	head    http.Header
	body    bytes.Buffer
	code    int
}

func newProber(h http.Handler) *prober {
	p := &prober{handler: h, head: http.Header{}}
	p.request = httptest.NewRequest(http.MethodGet, "/probe?"+url.Values{"module": {"mssql_availability"}, "target": {fleetTarget(0)}}.Encode(), nil)
	p.request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "10")
	return p
}

var _ http.ResponseWriter = (*prober)(nil)

// Header implements http.ResponseWriter.
func (p *prober) Header() http.Header { return p.head }

// WriteHeader implements http.ResponseWriter.
func (p *prober) WriteHeader(code int) { p.code = code }

// Write implements http.ResponseWriter.
func (p *prober) Write(b []byte) (int, error) { return p.body.Write(b) }

// ask scrapes once and wants the target up.
func (p *prober) ask(context.Context) error {
	clear(p.head)
	p.body.Reset()
	p.code = http.StatusOK
	p.handler.ServeHTTP(p, p.request)
	if body := p.body.Bytes(); p.code != http.StatusOK || !bytes.Contains(body, []byte(probeUp)) {
		return fmt.Errorf("the probe failed: %d\n%.2000s", p.code, body)
	}
	return nil
}

// probeUp is in the answer of a probe of a target that is up.
const probeUp = "\nmssql_up{cluster=\"fleet\",sql_instance=\"MSSQLSERVER\",vm=\"SQL0000\"} 1\n"

// bareDriver is go-mssqldb as one would use it for the same: a login over TLS 8.0, one question, the goodbye.
type bareDriver struct{ connector *mssql.Connector }

func newBareDriver(s served) (bareDriver, error) {
	host, port, err := net.SplitHostPort(s.Addresses[0])
	if err != nil {
		return bareDriver{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return bareDriver{}, err
	}
	pem, err := os.ReadFile(s.CA)
	if err != nil {
		return bareDriver{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return bareDriver{}, fmt.Errorf("%s holds no certificate", s.CA)
	}
	password, err := os.ReadFile(s.Password)
	if err != nil {
		return bareDriver{}, err
	}
	return bareDriver{mssql.NewConnectorConfig(msdsn.Config{
		Host: host, Port: number, User: username, Password: strings.TrimSpace(string(password)), Database: "master",
		TLSConfig:                 &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true},
		HostInCertificateProvided: true, DisableRetry: true, Protocols: []string{"tcp"}, Parameters: map[string]string{}, NoTraceID: true,
		Encryption: msdsn.EncryptionStrict,
	})}, nil
}

// ask logs in, asks what the availability probe asks, reads the answer and leaves.
func (d bareDriver) ask(ctx context.Context) error {
	c, err := d.connector.Connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	stmt, err := c.Prepare(sqlhealth.Question)
	if err != nil {
		return err
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	values := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(values); err != nil {
		return err
	}
	if err := rows.Next(values); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more than one row: %w", err)
	}
	return nil
}
