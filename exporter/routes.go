package exporter

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// pages are the values of the label handler.
var pages = []string{"/", "/probe", "/sd", "/metrics", "/-/healthy", "/-/ready", "/-/reload"}

// routes maps the exact paths; everything else is 404, and a method that a page does not have is 405.
func (e *Exporter) routes() http.Handler {
	get := []string{http.MethodGet, http.MethodHead}
	routes := map[string]http.Handler{
		"/":          methods(get, e.serveLanding),
		"/probe":     methods(get, e.serveProbe),
		"/sd":        methods(get, e.serveSD),
		"/metrics":   methods(get, promhttp.HandlerFor(e.options.Registry, promhttp.HandlerOpts{}).ServeHTTP),
		"/-/healthy": methods(get, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "The exporter is alive.") }),
		"/-/ready":   methods(get, e.serveReady),
		"/-/reload":  methods([]string{http.MethodPost, http.MethodPut}, e.serveReload),
	}
	for page, h := range routes {
		routes[page] = promhttp.InstrumentHandlerCounter(e.metrics.requests.MustCurryWith(prometheus.Labels{"handler": page}), h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, ok := routes[r.URL.Path]
		if !ok {
			http.Error(w, "not found; the pages are "+strings.Join(pages, " "), http.StatusNotFound)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// methods answers 405 to every other method.
func methods(allowed []string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, m := range allowed {
			if r.Method == m {
				h(w, r)
				return
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		http.Error(w, "use "+strings.Join(allowed, " or "), http.StatusMethodNotAllowed)
	})
}

func (e *Exporter) serveReady(w http.ResponseWriter, _ *http.Request) {
	g, err := e.acquire()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	g.users.Done()
	fmt.Fprintln(w, "The exporter is ready.")
}

func (e *Exporter) serveReload(w http.ResponseWriter, _ *http.Request) {
	if err := e.Reload(); err != nil {
		level.Error(e.logger).Log("msg", "configuration refused, the former one stays in use", "err", err)
		http.Error(w, "the configuration is refused, the former one stays in use:\n"+err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "The configuration is loaded.")
}
