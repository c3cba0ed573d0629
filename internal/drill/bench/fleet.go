package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The fleet's row. Each size of the inventory is scraped at the rate of the largest, so that the cost per scrape can be
// told from what the process costs by being there; the largest is the one that the design names.
const (
	fleetInterval = 15 * time.Second
	fleetLargest  = 1000
	fleetCycles   = 4 // of the largest, after one that warms up
	// fleetTimeout is the scrape's: an answer that takes longer than the module's 900 ms is one of a probe that failed.
	fleetTimeout = time.Second
	fleetFlat    = 1.2
)

// benchFleet runs the exporter as it is shipped against SQL Servers in another process, scrapes them as Prometheus does,
// each at a moment of its own within the interval, and reads what the exporter's process used.
func benchFleet(ctx context.Context, b *bench) (outcome, error) {
	dir, err := b.folder("fleet")
	if err != nil {
		return outcome{}, err
	}
	peers, s, err := startPeers(ctx, dir, "serve-sql", fmt.Sprintf("--count=%d", fleetLargest))
	if err != nil {
		return outcome{}, err
	}
	defer peers.Stop()
	var o outcome
	var least, most, ten float64 // cost per scrape, milliseconds
	for _, size := range []int{10, 100, fleetLargest} {
		cycles := 2
		if size == fleetLargest {
			cycles = fleetCycles
		}
		r, err := measureFleet(ctx, b, dir, s, size, cycles)
		if err != nil {
			return o, err
		}
		cost := float64(r.cpu) / 1e6 / float64(r.scrapes)
		o.Figures = append(o.Figures, fact(fmt.Sprintf("processor time per scrape, %d targets", size), cost, "ms"))
		if size == 10 {
			ten = cost
		}
		least, most = min(orElse(least, cost), cost), max(most, cost)
		if size < fleetLargest {
			continue
		}
		o.Samples = r.scrapes
		o.Figures = append(
			o.Figures,
			atMost("processor, of one core", r.cpu.Seconds()/r.took.Seconds(), "cores", 0.3),
			atMost("resident memory, peak", r.peak, "MB", 150),
			atMost("scrapes that were late or failed", float64(r.bad), "", 0),
			fact("answer, median", median(r.answers), "ms"),
			fact("answer, 99th percentile", percentile(r.answers, 99), "ms"),
			fact("answer, longest", percentile(r.answers, 100), "ms"),
		)
	}
	o.Figures = append(o.Figures, atMost("cost per target, the largest of 10, 100 and 1,000 against 10", most/ten, "×", fleetFlat))
	o.Note = fmt.Sprintf("each size scraped %.0f times a second, the rate of %d targets every %s; the exporter's own process alone", float64(fleetLargest)/fleetInterval.Seconds(), fleetLargest, fleetInterval)
	return o, nil
}

// orElse is v, or other where v is nothing yet.
func orElse(v, other float64) float64 {
	if v == 0 {
		return other
	}
	return v
}

// fleetRun is one size's measurement.
type fleetRun struct {
	scrapes, bad int
	cpu          time.Duration
	peak         float64 // MB
	took         time.Duration
	answers      []float64 // milliseconds
}

func measureFleet(ctx context.Context, b *bench, dir string, s served, size, cycles int) (fleetRun, error) {
	config, err := fleetConfig(dir, s, size)
	if err != nil {
		return fleetRun{}, err
	}
	b.say("%d targets for %s", size, time.Duration(cycles+1)*fleetInterval)
	p, base, err := startExporter(ctx, b, dir, config)
	if err != nil {
		return fleetRun{}, err
	}
	defer p.Stop()
	load := &load{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}, base: base, size: size}
	defer load.client.CloseIdleConnections()
	if _, err := load.cycles(ctx, 1); err != nil { // warms up
		return fleetRun{}, err
	}
	before, err := usageOf(p.PID())
	if err != nil {
		return fleetRun{}, err
	}
	r, err := load.cycles(ctx, cycles)
	if err != nil {
		return fleetRun{}, err
	}
	after, err := usageOf(p.PID())
	if err != nil {
		return fleetRun{}, err
	}
	r.cpu, r.peak = after.cpu-before.cpu, after.peak
	return r, nil
}

// load scrapes an exporter at the fleet's rate.
type load struct {
	client *http.Client
	base   string
	size   int

	mu  sync.Mutex
	run fleetRun
}

// cycles scrapes for that many intervals, in which fleetLargest scrapes go out evenly, over the targets in turn.
func (l *load) cycles(ctx context.Context, n int) (fleetRun, error) {
	l.run = fleetRun{}
	var open sync.WaitGroup
	began := time.Now()
	for i := range n * fleetLargest {
		due := began.Add(fleetInterval * time.Duration(i) / fleetLargest)
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
				open.Wait()
				return fleetRun{}, ctx.Err()
			case <-time.After(wait):
			}
		}
		open.Go(func() { l.scrape(ctx, i%l.size, due) })
	}
	open.Wait()
	l.run.took = time.Since(began)
	return l.run, nil
}

// scrape scrapes one target. Late is measured from the moment at which it was due.
func (l *load) scrape(ctx context.Context, target int, due time.Time) {
	ctx, cancel := context.WithTimeout(ctx, fleetInterval)
	defer cancel()
	good := l.good(ctx, target)
	took := time.Since(due)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run.scrapes++
	l.run.answers = append(l.run.answers, float64(took)/1e6)
	if !good || took > fleetTimeout {
		l.run.bad++
	}
}

// good reports whether the target answered and is up.
func (l *load) good(ctx context.Context, target int) bool {
	page := l.base + "/probe?" + url.Values{"module": {"mssql_availability"}, "target": {fleetTarget(target)}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return false
	}
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(fleetTimeout.Seconds()))
	resp, err := l.client.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && strings.Contains(string(body), "\nprobe_success{") && strings.Contains(string(body), `} 1`) && !strings.Contains(failed(body), "} 0")
}

// failed is the line of probe_success.
func failed(body []byte) string {
	_, rest, _ := strings.Cut(string(body), "\nprobe_success{")
	line, _, _ := strings.Cut(rest, "\n")
	return line
}
