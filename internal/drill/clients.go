package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// callTimeout bounds each question to a part of the chain: one that hangs must not stop the watch.
const callTimeout = 2 * time.Second

// Endpoints are where the parts of the chain answer, as base URLs. Where there is no lab, LabControl is empty: its state and
// its counters are then empty, and no error.
type Endpoints struct {
	LabControl, Exporter, Receiver, Prometheus, Alertmanager string
	// Clients ask those that want TLS or a password.
	Clients Clients
}

// Clients are what a part of the chain is asked with; http.DefaultClient where nil.
type Clients struct{ Receiver, Prometheus *http.Client }

// LabState is the lab's /state.
type LabState struct {
	Now       time.Time     `json:"now"`
	Nodes     []LabNode     `json:"nodes"`
	Groups    []LabGroup    `json:"groups"`
	Instances []LabInstance `json:"instances"`
}

// LabNode is a node in LabState.
type LabNode struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

// LabGroup is a virtual machine's group in LabState.
type LabGroup struct {
	VM    string `json:"vm"`
	Owner string `json:"owner"`
	State string `json:"state"`
}

// LabInstance is an instance of SQL Server in LabState.
type LabInstance struct {
	VM       string    `json:"vm"`
	Instance string    `json:"instance"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"`
}

// LabCounters is the lab's /counters: the judge of every trial.
type LabCounters struct {
	VMs map[string]LabCounts `json:"vms"`
}

// LabCounts is what was done to one virtual machine.
type LabCounts struct {
	Commands           []LabCount `json:"commands"`
	MovesCommanded     []LabCount `json:"moves_commanded"`
	FailoversByCluster []LabCount `json:"failovers_by_cluster"`
	RestartsByCluster  []LabCount `json:"restarts_by_cluster"`
	ServiceStarts      []LabCount `json:"service_starts"`
	VMResets           []LabCount `json:"vm_resets"`
}

// LabCount is one thing that was done, when, and to what.
type LabCount struct {
	Method string    `json:"method,omitempty"`
	At     time.Time `json:"at"`
	Detail string    `json:"detail,omitempty"` // the service's name, the process' handle
}

// Fault is a fault to inject, as the lab's control takes it.
type Fault struct {
	Fault    string `json:"fault"`
	VM       string `json:"vm,omitempty"`
	Node     string `json:"node,omitempty"`
	Instance string `json:"instance,omitempty"`
}

// Injected is the lab's answer to a Fault.
type Injected struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

func get(ctx context.Context, c *http.Client, u string, into any) error {
	return call(ctx, c, http.MethodGet, u, nil, into)
}

func call(ctx context.Context, c *http.Client, method, u string, body, into any) error {
	if c == nil {
		c = http.DefaultClient
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, u, reader)
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %.300s", method, u, resp.Status, b)
	}
	if into == nil {
		return nil
	}
	if text, ok := into.(*[]byte); ok {
		*text = b
		return nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, u, err)
	}
	return nil
}

// Inject asks the lab for a fault.
func (e Endpoints) Inject(ctx context.Context, f Fault) (Injected, error) {
	var in Injected
	err := call(ctx, nil, http.MethodPost, e.LabControl+"/faults", f, &in)
	return in, err
}

// State asks the lab how things are.
func (e Endpoints) State(ctx context.Context) (LabState, error) {
	var s LabState
	if e.LabControl == "" {
		return s, nil
	}
	err := get(ctx, nil, e.LabControl+"/state", &s)
	return s, err
}

// Counters asks the lab what was done to it.
func (e Endpoints) Counters(ctx context.Context) (LabCounters, error) {
	var c LabCounters
	if e.LabControl == "" {
		return c, nil
	}
	err := get(ctx, nil, e.LabControl+"/counters", &c)
	return c, err
}

// Incidents lists the receiver's incidents, without their rounds.
func (e Endpoints) Incidents(ctx context.Context) ([]incident.Incident, error) {
	var all struct {
		Incidents []incident.Incident `json:"incidents"`
	}
	err := get(ctx, e.Clients.Receiver, e.Receiver+"/api/v1/incidents", &all)
	return all.Incidents, err
}

// ReceiverMetrics is the receiver's /metrics as text.
func (e Endpoints) ReceiverMetrics(ctx context.Context) (string, error) {
	var text []byte
	err := get(ctx, e.Clients.Receiver, e.Receiver+"/metrics", &text)
	return string(text), err
}

// Target is something that Prometheus scrapes.
type Target struct {
	Job    string `json:"scrapePool"`
	Health string `json:"health"` // up, down; unknown before the first scrape
}

// Targets lists what Prometheus scrapes.
func (e Endpoints) Targets(ctx context.Context) ([]Target, error) {
	var answer struct {
		Data struct {
			Active []Target `json:"activeTargets"`
		} `json:"data"`
	}
	err := get(ctx, e.Clients.Prometheus, e.Prometheus+"/api/v1/targets?state=active", &answer)
	return answer.Data.Active, err
}

// PrometheusAlert is an alert that Prometheus evaluates as pending or firing.
type PrometheusAlert struct {
	Labels   map[string]string `json:"labels"`
	State    string            `json:"state"`
	ActiveAt time.Time         `json:"activeAt"`
}

// Alerts lists Prometheus' alerts.
func (e Endpoints) Alerts(ctx context.Context) ([]PrometheusAlert, error) {
	var answer struct {
		Data struct {
			Alerts []PrometheusAlert `json:"alerts"`
		} `json:"data"`
	}
	err := get(ctx, e.Clients.Prometheus, e.Prometheus+"/api/v1/alerts", &answer)
	return answer.Data.Alerts, err
}

// Ready asks the receiver whether it may act; the error says what it waits for.
func (e Endpoints) Ready(ctx context.Context) error {
	return get(ctx, e.Clients.Receiver, e.Receiver+"/-/ready", nil)
}

// Rescue is what the receiver's newest rehearsal of a virtual machine found out.
type Rescue struct {
	evidence.VM
	incident.Rescue
}

// Rescues lists the receiver's rehearsals.
func (e Endpoints) Rescues(ctx context.Context) ([]Rescue, error) {
	var all struct {
		Rescues []Rescue `json:"rescues"`
	}
	err := get(ctx, e.Clients.Receiver, e.Receiver+"/api/v1/rescues", &all)
	return all.Rescues, err
}

// Pause is a pause in force at the receiver. An empty Cluster, VM or Rung means every one.
type Pause struct {
	ID      string `json:"id"`
	Cluster string `json:"cluster"`
	VM      string `json:"vm"`
	Rung    string `json:"rung"`
	Owner   string `json:"owner"`
	Reason  string `json:"reason"`
}

// Pauses lists the receiver's pauses.
func (e Endpoints) Pauses(ctx context.Context) ([]Pause, error) {
	var all struct {
		Pauses []Pause `json:"pauses"`
	}
	err := get(ctx, e.Clients.Receiver, e.Receiver+"/api/v1/pauses", &all)
	return all.Pauses, err
}

// Sample is a value at a time.
type Sample struct {
	At    time.Time
	Value float64
}

// Series is one of Prometheus' series, its samples oldest first.
type Series struct {
	Labels  map[string]string
	Samples []Sample
}

// Range asks Prometheus for the samples of a selector in the time before now.
func (e Endpoints) Range(ctx context.Context, selector string, back time.Duration) ([]Series, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Values [][2]any          `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	query := fmt.Sprintf("%s[%ds]", selector, max(1, int(back/time.Second)))
	if err := get(ctx, e.Clients.Prometheus, e.Prometheus+"/api/v1/query?query="+url.QueryEscape(query), &answer); err != nil {
		return nil, err
	}
	var list []Series
	for _, r := range answer.Data.Result {
		s := Series{Labels: r.Metric}
		for _, v := range r.Values {
			at, okAt := v[0].(float64)
			text, okText := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if !okAt || !okText || err != nil {
				return nil, fmt.Errorf("a sample of Prometheus is no number at a time: %v", v)
			}
			s.Samples = append(s.Samples, Sample{time.UnixMilli(int64(at * 1000)), value})
		}
		list = append(list, s)
	}
	return list, nil
}

// FirstFailedProbe is the time of Prometheus' first sample at or after since in which the probe of an instance
// failed; ok is false while there is none. An empty cluster means any.
func (e Endpoints) FirstFailedProbe(ctx context.Context, cluster, vm, instance string, since time.Time) (time.Time, bool, error) {
	list, err := e.Range(ctx, "probe_success"+ProbeLabels(cluster, vm, instance), 5*time.Minute)
	if err != nil {
		return time.Time{}, false, err
	}
	var first time.Time
	for _, series := range list {
		for _, s := range series.Samples {
			if s.Value == 0 && !s.At.Before(since) && (first.IsZero() || s.At.Before(first)) {
				first = s.At
			}
		}
	}
	return first, !first.IsZero(), nil
}

// ProbeLabels selects the probes of an instance, or of every one of a virtual machine where instance is empty or "-". An
// empty cluster means any.
func ProbeLabels(cluster, vm, instance string) string {
	labels := fmt.Sprintf(`vm=%q,`, vm)
	if cluster != "" {
		labels = fmt.Sprintf(`cluster=%q,`, cluster) + labels
	}
	if instance == "" || instance == evidence.NoInstance {
		return "{" + labels + `sql_instance!=""}`
	}
	return "{" + labels + fmt.Sprintf(`sql_instance=%q}`, instance)
}
