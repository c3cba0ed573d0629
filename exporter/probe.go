package exporter

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// scrapeTimeoutHeader is how Prometheus says when it will give up.
const scrapeTimeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// serveProbe answers /probe: 200 also where the target is sick, 400 for a module that does not exist, 404 for a target
// that is not in the inventory.
func (e *Exporter) serveProbe(w http.ResponseWriter, r *http.Request) {
	g, err := e.acquire()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	query := r.URL.Query()
	m, ok := g.config.Exporter.Modules[query.Get("module")]
	if !ok {
		g.users.Done()
		http.Error(w, unknownModule(g, query.Get("module")), http.StatusBadRequest)
		return
	}
	t, ok := g.targets[targetKey{m.Prober, query.Get("target")}]
	if !ok {
		g.users.Done()
		http.Error(w, unknownTarget(g, m, query.Get("target")), http.StatusNotFound)
		return
	}
	debug, _ := strconv.ParseBool(query.Get("debug"))
	timeout := probeTimeout(m.Timeout, g.config.Exporter.TimeoutOffset, r.Header.Get(scrapeTimeoutHeader))
	deadline := time.Now().Add(timeout)
	f := e.board(g, m, t, timeout, debug)
	ctx := r.Context()
	if f.deadline.After(deadline.Add(grace / 5)) {
		// Another scrape's flight, which may take longer than this one has.
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	outcomes, took := f.wait(ctx)
	answered := e.gather(f, outcomes, took)
	if debug {
		e.writeDebug(w, f, outcomes, answered)
		return
	}
	if err := e.writers.write(w, r, answered); err != nil {
		level.Debug(e.logger).Log("msg", "answer not written", "module", m.Name, "target", t.name, "err", err)
	}
}

func unknownModule(g *generation, name string) string {
	if name == "" {
		return fmt.Sprintf("module is missing; use one of %q", g.modules())
	}
	return fmt.Sprintf("unknown module %q; use one of %q", name, g.modules())
}

// targetForms say how the targets of each prober are named.
func targetForm(p config.Prober) string {
	switch p {
	case config.ProberMSSQL:
		return "cluster/vm/instance"
	case config.ProberHyperV:
		return "cluster/node"
	case config.ProberWSFC:
		return "cluster"
	case config.ProberGuest:
		return "cluster/vm, of a virtual machine with a guest address"
	case config.ProberApplication:
		return "cluster/vm, of a virtual machine with an application"
	}
	return p.String()
}

func unknownTarget(g *generation, m *config.Module, name string) string {
	form := targetForm(m.Prober)
	if name == "" {
		return fmt.Sprintf("target is missing; the module %s takes %s", m.Name, form)
	}
	example := ""
	if i := slices.IndexFunc(g.order, func(t *target) bool { return t.prober == m.Prober }); i >= 0 {
		example = fmt.Sprintf(", for example %q", g.order[i].name)
	}
	return fmt.Sprintf("unknown target %q; the module %s takes %s, as the inventory names it%s", name, m.Name, form, example)
}

// probeTimeout is the smaller of the module's time-out and Prometheus' own less the offset. Where the offset would
// leave less than half of what Prometheus grants, half of it is taken: a probe without any time cannot succeed.
func probeTimeout(module, offset time.Duration, header string) time.Duration {
	seconds, err := strconv.ParseFloat(header, 64)
	if err != nil || !(seconds > 0) || seconds > math.MaxInt64/float64(time.Second) {
		return module
	}
	scrape := time.Duration(seconds * float64(time.Second))
	return min(module, max(scrape-offset, scrape/2))
}

// gather turns the outcomes of a flight into families of metrics. Where a peer contradicts itself, such as by naming two
// things alike, the contradictory series is left out, and the rest of the answer stands.
func (e *Exporter) gather(f *flight, outcomes []outcome, took time.Duration) families {
	out, err := gather(answer{f.target, outcomes, took}.metrics())
	if err != nil {
		e.metrics.gatherErrors.Inc()
		level.Warn(e.logger).Log("msg", "contradictory series left out", "module", f.module.Name, "target", f.target.name, "err", err)
	}
	return out
}

// answerDescs describe what every probe's answer holds, whatever its prober.
type answerDescs struct{ success, duration, collectorSuccess, collectorTime, collectorTimeout, failureReason, certificate probe.Desc }

func newAnswerDescs(d probe.Descs) answerDescs {
	return answerDescs{
		success:          d.New("probe_success", "1 means that every collector of the module could see what it is there for."),
		duration:         d.New("probe_duration_seconds", "How long the probe took."),
		collectorSuccess: d.New("probe_collector_success", "1 means that the collector could see what it is there for; 0 says nothing about what it would have seen.", "collector"),
		collectorTime:    d.New("probe_collector_duration_seconds", "How long the collector took.", "collector"),
		collectorTimeout: d.New("probe_collector_timeout", "1 means that the collector was ended by its deadline.", "collector"),
		failureReason:    d.New("probe_failure_reason", "1 for the reason why the collector could not see; 0 for all where it could.", "collector", "reason"),
		certificate: d.New("probe_tls_earliest_cert_expiry_timestamp_seconds",
			"When the first of the certificates ends that the peer showed in the last TLS handshake, taken or not, in seconds since 1970; absent before one. What SQL Server showed in TDS 7.4 counts only where it was taken."),
	}
}

// answer is what a probe found.
type answer struct {
	target   *target
	outcomes []outcome
	took     time.Duration
}

// metrics are all that the answer holds.
func (a answer) metrics() []prometheus.Metric {
	d, all := a.target.descs, true
	n := 0
	for i := range a.outcomes {
		n += len(a.outcomes[i].result.Metrics) + 3 + len(dial.Reasons())
	}
	s := make(probe.Set, 0, n+2)
	for i := range a.outcomes {
		o := &a.outcomes[i]
		ok := o.result.Err == nil
		all = all && ok
		s.Bool(d.collectorSuccess, ok, o.name)
		s.Seconds(d.collectorTime, o.duration, o.name)
		s.Bool(d.collectorTimeout, o.timeout, o.name)
		for _, r := range dial.Reasons() {
			s.Bool(d.failureReason, r == o.reason, o.name, string(r))
		}
		s = append(s, o.result.Metrics...)
	}
	if a.target.certificate != nil {
		s.Time(d.certificate, a.target.certificate())
	}
	s.Bool(d.success, all)
	s.Seconds(d.duration, a.took)
	return s
}
