// Package console is what people and their tools see of the receiver: the JSON API, two web pages, metrics and
// health. It shows the driver's newest state and hands people's words (pauses, acknowledgements) to it as events; it
// decides nothing. It speaks through the listener that exporter-toolkit protects; a form from another site is
// refused.
package console

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Options are what a console needs; all of it.
type Options struct {
	State    func() *incident.State              // the newest state; it is not changed
	Send     func(incident.Event)                // to the driver; may block until it takes the event
	Reload   func() error                        // reads the configuration again, all or nothing
	Approver func(*http.Request) (string, error) // the approver who sends a request, by his own proof (G23)
	Denied   func()                              // counts an approval of somebody who is none
	// List reads the ledger; see ledger.Store.
	List func(ctx context.Context, prefix string, fn func(key string, value []byte) error) error
	// Recording writes what was recorded from the last checkpoint before a time on, as lines of JSON. Nil where nothing is.
	Recording func(ctx context.Context, since time.Time, w io.Writer) error
	Gatherer  prometheus.Gatherer
	Logger    log.Logger
	// Hosts are the names under which the listener may be told something, besides addresses and localhost; without case.
	Hosts []string
}

func (o Options) validate() error {
	if o.State == nil || o.Send == nil || o.Reload == nil || o.Approver == nil || o.Denied == nil || o.List == nil || o.Gatherer == nil || o.Logger == nil {
		return errors.New("console: an option is missing")
	}
	return nil
}

// defaultPause is how long a pause lasts where nobody says (G21).
const defaultPause = 4 * time.Hour

// takenTimeout is how long a person's word is waited for to be in force: on disk, and in the state.
const takenTimeout = 5 * time.Second

// maxBody bounds what a person may send.
const maxBody = 64 << 10

type console struct{ Options }

// New returns the handler of the web listener.
func New(o Options) (http.Handler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &console{o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.overview)
	mux.HandleFunc("GET /incidents/{id}", c.page)
	mux.HandleFunc("GET /api/v1/incidents", c.incidents)
	mux.HandleFunc("GET /api/v1/incidents/{id}", c.incident)
	mux.HandleFunc("GET /api/v1/incidents/{id}/evidence", c.evidence)
	mux.HandleFunc("POST /api/v1/incidents/{id}/ack", c.ack)
	mux.HandleFunc("POST /api/v1/incidents/{id}/approve", c.approve)
	mux.HandleFunc("GET /api/v1/audit", c.audit)
	mux.HandleFunc("GET /api/v1/replay", c.replay)
	mux.HandleFunc("GET /api/v1/rescues", c.rescues)
	mux.HandleFunc("GET /api/v1/pauses", c.pauses)
	mux.HandleFunc("POST /api/v1/pauses", c.pause)
	mux.HandleFunc("DELETE /api/v1/pauses/{id}", c.resume)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", c.ready)
	mux.HandleFunc("POST /-/reload", c.reload)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{}))
	return c.named(http.NewCrossOriginProtection().Handler(mux)), nil
}

// named refuses to be told something under a name that is not ours. A browser on this machine can be led here by a page
// whose name was made to point to a loopback address; it then sends the page's name, and the cross-origin check sees one
// origin.
func (c *console) named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !c.ours(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "%q is not a name of this receiver; use its address, or start it with --web.external-url", r.Host)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (c *console) ours(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
		return true
	}
	return slices.ContainsFunc(c.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

func (c *console) ready(w http.ResponseWriter, _ *http.Request) {
	if missing := c.State().Ready(time.Now()); len(missing) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not ready:")
		for _, m := range missing {
			fmt.Fprintln(w, "-", m)
		}
		return
	}
	fmt.Fprintln(w, "ready")
}

func (c *console) reload(w http.ResponseWriter, _ *http.Request) {
	if err := c.Reload(); err != nil {
		refuse(w, http.StatusInternalServerError, "the configuration was not reloaded; the old one stands: %v", err)
		return
	}
	fmt.Fprintln(w, "reloaded")
}

// newestFirst lists the incidents, newest first.
func newestFirst(s *incident.State) []incident.Incident {
	all := slices.AppendSeq(make([]incident.Incident, 0, s.Incidents.Len()), s.Incidents.All())
	slices.SortFunc(all, func(a, b incident.Incident) int {
		if d := b.OpenedAt.Compare(a.OpenedAt); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// incidents lists them without their rounds of evidence, which only one at a time is worth reading.
func (c *console) incidents(w http.ResponseWriter, _ *http.Request) {
	all := newestFirst(c.State())
	for n := range all {
		all[n].Rounds = nil
	}
	answer(w, http.StatusOK, map[string]any{"incidents": all})
}

func (c *console) incident(w http.ResponseWriter, r *http.Request) {
	i, ok := c.State().Incidents.Get(r.PathValue("id"))
	if !ok {
		refuse(w, http.StatusNotFound, "no incident %q; GET /api/v1/incidents lists them", r.PathValue("id"))
		return
	}
	answer(w, http.StatusOK, i)
}

func (c *console) ack(w http.ResponseWriter, r *http.Request) {
	var body struct {
		By string `json:"by"`
	}
	if !decode(w, r, &body) {
		return
	}
	if body.By == "" {
		refuse(w, http.StatusBadRequest, `"by" is missing: who acknowledges?`)
		return
	}
	id := r.PathValue("id")
	if _, ok := c.State().Incidents.Get(id); !ok && !latches(c.State(), id) {
		refuse(w, http.StatusNotFound, "no incident %q; GET /api/v1/incidents lists them", id)
		return
	}
	if !c.taken(w, r, incident.Acknowledged{At: incident.At(time.Now()), Incident: id, By: body.By}, func(s *incident.State) bool {
		i, ok := s.Incidents.Get(id)
		return (!ok || i.Acked) && !latches(s, id)
	}) {
		return
	}
	level.Info(c.Logger).Log("msg", "incident acknowledged", "incident", id, "by", body.By)
	w.WriteHeader(http.StatusNoContent)
}

func (c *console) pauses(w http.ResponseWriter, _ *http.Request) {
	list := []guard.Pause{}
	for _, p := range c.State().Pauses {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b guard.Pause) int { return strings.Compare(a.ID, b.ID) })
	answer(w, http.StatusOK, map[string]any{"pauses": list})
}

// pause sets a pause. Its scope must exist: a pause that matches nothing would be a false comfort.
func (c *console) pause(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Cluster   string      `json:"cluster"`
		VM        string      `json:"vm"`
		Rung      remedy.Rung `json:"rung"`
		Owner     string      `json:"owner"`
		Reason    string      `json:"reason"`
		ExpiresIn string      `json:"expires_in"`
	}
	if !decode(w, r, &body) {
		return
	}
	if body.Owner == "" || body.Reason == "" {
		refuse(w, http.StatusBadRequest, `"owner" and "reason" are needed: the next person on call will ask`)
		return
	}
	lasts := defaultPause
	if body.ExpiresIn != "" {
		d, err := time.ParseDuration(body.ExpiresIn)
		if err != nil || d <= 0 {
			refuse(w, http.StatusBadRequest, `"expires_in": %q is no positive duration such as 90m or 4h`, body.ExpiresIn)
			return
		}
		lasts = d
	}
	state := c.State()
	if err := scope(state, body.Cluster, body.VM, body.Rung); err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	now := time.Now()
	p := guard.Pause{
		ID: rand.Text()[:8], Cluster: body.Cluster, VM: body.VM, Rung: body.Rung, Owner: body.Owner, Reason: body.Reason,
		Since: now.UTC(), Expires: now.Add(lasts).UTC(),
	}
	if c.taken(w, r, incident.PauseSet{At: incident.At(now), Pause: p}, func(s *incident.State) bool {
		_, in := s.Pauses[p.ID]
		return in
	}) {
		answer(w, http.StatusCreated, p)
	}
}

func scope(s *incident.State, cluster, vm string, rung remedy.Rung) error {
	if cluster != "" {
		if _, ok := s.Clusters[cluster]; !ok {
			return fmt.Errorf(`"cluster": %q is not in the inventory`, cluster)
		}
	}
	if vm != "" {
		if cluster == "" {
			return errors.New(`"vm" needs "cluster" beside it`)
		}
		if _, ok := s.VMs.Get(evidence.VM{Cluster: cluster, Name: vm}); !ok {
			return fmt.Errorf(`"vm": %q is not in the inventory of cluster %q`, vm, cluster)
		}
	}
	if _, ok := remedy.SpecOf(rung); rung != "" && !ok {
		return fmt.Errorf(`"rung": %q is not known; use one of %s`, rung, strings.Join(config.Rungs(), ", "))
	}
	return nil
}

func (c *console) resume(w http.ResponseWriter, r *http.Request) {
	p, ok := c.State().Pauses[r.PathValue("id")]
	if !ok {
		refuse(w, http.StatusNotFound, "no pause %q; GET /api/v1/pauses lists them", r.PathValue("id"))
		return
	}
	now := time.Now()
	p.Expires = now.UTC()
	if c.taken(w, r, incident.PauseSet{At: incident.At(now), Pause: p}, func(s *incident.State) bool {
		_, in := s.Pauses[p.ID]
		return !in
	}) {
		w.WriteHeader(http.StatusNoContent)
	}
}

// taken hands a person's word to the driver and waits until it is in force. What is not in force is not confirmed: an
// operator who reads that he has paused the receiver relies on it.
func (c *console) taken(w http.ResponseWriter, r *http.Request, e incident.Event, inForce func(*incident.State) bool) bool {
	ctx, cancel := context.WithTimeout(r.Context(), takenTimeout)
	defer cancel()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.Send(e)
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !inForce(c.State()) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			refuse(w, http.StatusServiceUnavailable, "it is not in force after %s: the ledger cannot be written, or the receiver is stopping; see its log", takenTimeout)
			return false
		}
	}
	<-sent
	return true
}

// latches reports whether a virtual machine waits for the acknowledgement of an incident, which may be long over.
func latches(s *incident.State, id string) bool {
	for _, vm := range s.VMs.All() {
		if vm.Latched == id {
			return true
		}
	}
	return false
}

// decode reads a JSON body strictly.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "the body is not the JSON that was expected: %v", err)
		return false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		refuse(w, http.StatusBadRequest, "something follows the JSON body")
		return false
	}
	return true
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the reader hung up; nobody is left to be told
}

func refuse(w http.ResponseWriter, code int, format string, args ...any) {
	answer(w, code, map[string]string{"error": fmt.Sprintf(format, args...)})
}
