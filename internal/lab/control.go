package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// Injected is a fault that was injected, as the control answers it.
type Injected struct {
	ID string `json:"id"`
	At Time   `json:"at"`
}

// Time is RFC 3339 in UTC with milliseconds.
type Time time.Time

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format("2006-01-02T15:04:05.000Z07:00")), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Time) UnmarshalText(b []byte) error {
	parsed, err := time.Parse(time.RFC3339, string(b))
	*t = Time(parsed)
	return err
}

// State is how the lab is now.
type State struct {
	Now       Time            `json:"now"`
	Nodes     []NodeState     `json:"nodes"`
	Groups    []GroupState    `json:"groups"`
	Instances []InstanceState `json:"instances"`
	// GuestClusters are the clusters of guests: their groups, by the virtual server's name, and the guests that own them.
	GuestClusters []GroupState `json:"guest_clusters,omitempty"`
}

// NodeState is a node in State.
type NodeState struct {
	Name  string `json:"name"`
	State string `json:"state"` // up, paused, isolated, quarantined, down; off where it has no power and nobody has noticed
}

// GroupState is a virtual machine's group in State.
type GroupState struct {
	VM    string `json:"vm"` // or the name of a virtual server
	Owner string `json:"owner"`
	State string `json:"state"` // online, offline, failed, pending
}

// InstanceState is an instance of SQL Server in State. Up means that a client who reaches the guest logs in.
type InstanceState struct {
	VM       string `json:"vm"`
	Instance string `json:"instance"`
	Up       bool   `json:"up"`
	Since    Time   `json:"since"`
}

// Counters are what was done to the virtual machines: the judge of every trial.
type Counters struct {
	VMs map[string]Counts `json:"vms"`
}

// Counts is what was done to one virtual machine.
type Counts struct {
	Commands           []Count `json:"commands"`
	MovesCommanded     []Count `json:"moves_commanded"`
	FailoversByCluster []Count `json:"failovers_by_cluster"`
	RestartsByCluster  []Count `json:"restarts_by_cluster"` // of its resource, where it was
	ServiceStarts      []Count `json:"service_starts"`
	VMResets           []Count `json:"vm_resets"`
	Moved              []Count `json:"moved"` // moves that came to their end, whoever commanded them; not failovers
}

// Count is one thing that was done.
type Count struct {
	Method string `json:"method"`
	At     Time   `json:"at"`
	Detail string `json:"detail,omitempty"`
}

// Inject makes a fault happen now.
func (l *Lab) Inject(r model.Request) (Injected, error) {
	var in model.Injected
	var err error
	l.with(func(m *model.Model) { in, err = m.Inject(r) })
	return Injected{in.ID, Time(in.At)}, err
}

// Heal ends a fault as its nature allows; false where there is no such fault, or it was healed before.
func (l *Lab) Heal(id string) bool {
	var ok bool
	l.with(func(m *model.Model) { ok = m.Heal(id) })
	return ok
}

// Faults lists every fault that was injected, oldest first.
func (l *Lab) Faults() []model.Injected {
	var list []model.Injected
	l.with(func(m *model.Model) { list = m.Injected() })
	return list
}

// State is how things are now.
func (l *Lab) State() State {
	var s State
	l.with(func(m *model.Model) {
		s.Now = Time(m.Now())
		for _, n := range m.Nodes {
			s.Nodes = append(s.Nodes, NodeState{n.Name, nodeWord(n)})
		}
		for _, v := range m.VMs {
			s.Groups = append(s.Groups, GroupState{v.Name, v.Owner, groupWords[v.GroupState]})
			for _, q := range v.Servers {
				if _, now := m.Instance(v.Name, q.Instance); known(v, q) {
					s.Instances = append(s.Instances, InstanceState{v.Name, q.Instance, now.Up, Time(now.Since)})
				}
			}
		}
		for _, g := range m.GuestClusters {
			s.GuestClusters = append(s.GuestClusters, GroupState{g.Name, g.Owner, groupWords[g.State]})
		}
	})
	return s
}

func nodeWord(n *model.Node) string {
	switch {
	case n.Status&cluster.NodeIsolated != 0:
		return "isolated"
	case n.Status&cluster.NodeQuarantined != 0:
		return "quarantined"
	case n.State == cluster.NodePaused:
		return "paused"
	case n.State == cluster.NodeDown:
		return "down"
	case !n.Powered:
		return "off"
	}
	return "up"
}

var groupWords = map[cluster.GroupState]string{
	cluster.GroupOnline: "online", cluster.GroupOffline: "offline", cluster.GroupFailed: "failed", cluster.GroupPending: "pending",
	cluster.GroupPartialOnline: "partial", cluster.GroupUnknown: "unknown",
}

// Counters are what was done until now.
func (l *Lab) Counters() Counters {
	c := Counters{VMs: map[string]Counts{}}
	l.with(func(m *model.Model) {
		for _, v := range m.VMs {
			c.VMs[v.Name] = Counts{
				counts(v.Counts.Commands), counts(v.Counts.MovesCommanded), counts(v.Counts.FailoversByCluster),
				counts(v.Counts.RestartsByCluster),
				counts(v.Counts.ServiceStarts), counts(v.Counts.VMResets), counts(v.Counts.Moved),
			}
		}
	})
	return c
}

func counts(list []model.Count) []Count {
	out := make([]Count, 0, len(list))
	for _, c := range list {
		out = append(out, Count{c.Method, Time(c.At), c.Detail})
	}
	return out
}

// handler is the control over HTTP.
func (l *Lab) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, l.State()) })
	mux.HandleFunc("GET /counters", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, l.Counters()) })
	mux.HandleFunc("POST /faults", l.injectHTTP)
	mux.HandleFunc("DELETE /faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !l.Heal(r.PathValue("id")) {
			answer(w, http.StatusNotFound, map[string]string{"error": fmt.Sprintf("no fault %q that could be healed", r.PathValue("id"))})
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (l *Lab) injectHTTP(w http.ResponseWriter, r *http.Request) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	d.DisallowUnknownFields()
	var request model.Request
	err := d.Decode(&request)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the JSON body")
		}
	}
	var in Injected
	if err == nil {
		in, err = l.Inject(request)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	answer(w, http.StatusCreated, in)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client hung up; nobody is left to be told
}
