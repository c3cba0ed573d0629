package console

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"time"

	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

//go:embed overview.html incident.html style.css
var files embed.FS

var funcs = template.FuncMap{
	"clock": func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("15:04:05.000")
	},
	"day": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") },
	"css": func() (template.CSS, error) {
		b, err := files.ReadFile("style.css")
		return template.CSS(b), err //nolint:gosec // a file of our own
	},
}

// pages are parsed when the package is loaded: a broken one cannot reach a user.
var pages = template.Must(template.New("").Funcs(funcs).ParseFS(files, "*.html"))

type overviewPage struct {
	Now       time.Time
	Missing   []string
	Pauses    []guard.Pause
	Incidents []incident.Incident
	Rescues   []rescue
}

func (c *console) overview(w http.ResponseWriter, _ *http.Request) {
	s, now := c.State(), time.Now()
	p := overviewPage{Now: now, Missing: s.Ready(now), Incidents: newestFirst(s), Rescues: rescuesOf(s)}
	for _, pause := range s.Pauses {
		p.Pauses = append(p.Pauses, pause)
	}
	c.render(w, "overview.html", p)
}

func (c *console) page(w http.ResponseWriter, r *http.Request) {
	i, ok := c.State().Incidents.Get(r.PathValue("id"))
	if !ok {
		http.Error(w, "no such incident; the overview lists them", http.StatusNotFound)
		return
	}
	c.render(w, "incident.html", i)
}

func (c *console) render(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		level.Error(c.Logger).Log("msg", "page not rendered", "page", name, "err", err)
		http.Error(w, "the page could not be made; see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = b.WriteTo(w)
}
