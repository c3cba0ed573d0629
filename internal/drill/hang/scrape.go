package hang

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/prometheus/common/expfmt"
	prom "github.com/prometheus/common/model"
)

// Lateness is what an answer may take beyond its probe's deadline.
const Lateness = 100 * time.Millisecond

// answer is what one scrape brought.
type answer struct {
	success bool
	// reasons are those of the module's collectors, each once.
	reasons map[string]bool
	took    time.Duration
	// late is how long after the deadline the answer came, counted in steps that stretch where the machine is busy: what
	// this process had no time for is not the prober's.
	late time.Duration
}

// offset is what the exporter keeps of a scrape's time-out for itself, its default timeout_offset.
const offset = 100 * time.Millisecond

// scrape asks a handler as Prometheus does. timeout is what the probe gets, by the scrape's own time-out: at most the
// module's.
func scrape(ctx context.Context, h http.Handler, module, name string, timeout time.Duration) (answer, error) {
	over, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answered, counted := make(chan struct{}), make(chan time.Duration, 1)
	go func() {
		<-over.Done()
		counted <- stepsUntil(answered)
	}()
	page := "/probe?" + url.Values{"module": {module}, "target": {name}}.Encode()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, page, nil)
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint((timeout + offset).Seconds()))
	began := time.Now()
	h.ServeHTTP(w, r)
	a := answer{took: time.Since(began), reasons: map[string]bool{}}
	close(answered)
	cancel()
	a.late = <-counted
	if w.Code != http.StatusOK {
		return a, fmt.Errorf("%s: %d %s", page, w.Code, w.Body)
	}
	return a, a.read(w.Body)
}

// stepsUntil counts how long it takes until done is closed.
func stepsUntil(done <-chan struct{}) (passed time.Duration) {
	const step = 5 * time.Millisecond
	for {
		select {
		case <-done:
			return passed
		case <-time.After(step):
			passed += step
		}
	}
}

// read takes from the answer how the probe went.
func (a *answer) read(body *bytes.Buffer) error {
	parser := expfmt.NewTextParser(prom.UTF8Validation)
	families, err := parser.TextToMetricFamilies(body)
	if err != nil {
		return fmt.Errorf("the answer is no metrics: %w", err)
	}
	for _, m := range families["probe_success"].GetMetric() {
		a.success = m.GetGauge().GetValue() == 1
	}
	for _, m := range families["probe_failure_reason"].GetMetric() {
		if m.GetGauge().GetValue() != 1 {
			continue
		}
		for _, l := range m.GetLabel() {
			if l.GetName() == "reason" {
				a.reasons[l.GetValue()] = true
			}
		}
	}
	return nil
}
