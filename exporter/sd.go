package exporter

import (
	"encoding/json"
	"net/http"

	"github.com/go-kit/log/level"
)

// sdGroup is one target group of Prometheus' HTTP service discovery
// (prometheus.io/docs/prometheus/latest/http_sd).
type sdGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// serveSD answers /sd?module=: every target that the module can probe, with the labels that the probe's own series
// carry, so that Prometheus' up has them too. The address is the one that this request was sent to: who finds the
// exporter there to ask for targets finds it there to probe them. A scrape job has to say honor_labels: true, and to
// drop __metrics_path__ and __param_* never: they are the request.
func (e *Exporter) serveSD(w http.ResponseWriter, r *http.Request) {
	g, err := e.acquire()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer g.users.Done()
	m, ok := g.config.Exporter.Modules[r.URL.Query().Get("module")]
	if !ok {
		http.Error(w, unknownModule(g, r.URL.Query().Get("module")), http.StatusBadRequest)
		return
	}
	groups := []sdGroup{}
	for _, t := range g.order {
		if t.prober != m.Prober {
			continue
		}
		labels := map[string]string{
			"__metrics_path__": "/probe",
			"__param_module":   m.Name,
			"__param_target":   t.name,
			"instance":         t.name,
		}
		for k, v := range t.labels {
			labels[k] = v
		}
		groups = append(groups, sdGroup{Targets: []string{r.Host}, Labels: labels})
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err := json.NewEncoder(w).Encode(groups); err != nil {
		level.Debug(e.logger).Log("msg", "service discovery answer not written", "err", err)
	}
}
